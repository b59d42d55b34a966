#!/usr/bin/env bash
# Hurts running campaigns at random moments until the time is over, and says whether anything was lost.
set -euo pipefail
# shellcheck source=cluster/setup/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../cluster/setup/setup.sh"

usage()
{
    cat << 'HELP'
usage: tests/torture.sh [--minutes M] [--rounds N] [--seed S]

Builds build/release if needed, runs one campaign undisturbed, and then again and again with random
faults: SIGKILL of a rank or of everything, signals that ask for a stop, a rank that stands still,
results that never reached the disk. After each round the store must have the content hash of the
undisturbed run. The seed is printed: the same seed draws the same faults (their effect depends on how
fast this machine is).

  --minutes M   begin no round after M minutes (default: 5)
  --rounds N    end after N rounds (default: no limit)
  --seed S      an integer (default: the time)

Exit code 0: every round gave the same bytes. 1: a round did not; its store is kept and named.
HELP
}

case ${1:-} in -h | --help) usage && exit ;; esac
prepare "${build_packages[@]}"
mkdir -p -- "$twinscreen_root/build"
lock_file "$twinscreen_root/build/.lock"
configure release
build release twinscreen
unlock_file
mpi_environment
step "torture"
TWINSCREEN_EXECUTABLE=$twinscreen_root/build/release/twinscreen exec "$python" \
    "$twinscreen_root/tests/integration/torture.py" "$@"
