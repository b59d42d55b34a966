#!/usr/bin/env bash
# Hurts running campaigns at random moments until the time is over, and says whether anything was lost.
set -euo pipefail
# shellcheck source=cluster/setup/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../cluster/setup/setup.sh"

usage()
{
    cat << 'HELP'
usage: tests/torture.sh [--minutes M] [--rounds N] [--seed S]
       tests/torture.sh --every-step

Builds build/release if needed, runs one campaign undisturbed, and then again and again with random
faults: SIGKILL of a rank or of everything, signals that ask for a stop, a rank that stands still,
results that never reached the disk. After each round the store must have the content hash of the
undisturbed run. The seed is printed: the same seed draws the same faults (their effect depends on how
fast this machine is).

  --minutes M   begin no round after M minutes (default: 5, without --rounds)
  --rounds N    end after N rounds (default: no limit)
  --seed S      an integer (default: the time)
  --every-step  no chance: SIGKILL at every named step of the protocol, to rank 0 and to another, on
                1, 3 and 4 ranks, and at all pairs of the delicate steps in two successive runs

Exit code 0: every round gave the same bytes. 1: a round did not; its store is kept and named.
HELP
}

targets=(twinscreen) script=torture.py arguments=("$@")
case ${1:-} in
    -h | --help) usage && exit ;;
    --every-step)
        targets+=(twinscreen_with_failpoints)
        script=failpoint_test.py
        arguments=(--pairs "${@:2}")
        ;;
esac
prepare "${build_packages[@]}" "${test_packages[@]}"
mkdir -p -- "$twinscreen_root/build"
lock_file "$twinscreen_root/build/.lock"
configure release -D TWINSCREEN_BUILD_TESTS=ON
build release "${targets[@]}"
unlock_file
mpi_environment
step "torture"
built=$twinscreen_root/build/release
TWINSCREEN_EXECUTABLE=$built/twinscreen \
    TWINSCREEN_WITH_FAILPOINTS=$built/tests/support/twinscreen_with_failpoints \
    exec "$python" "$twinscreen_root/tests/integration/$script" "${arguments[@]}"
