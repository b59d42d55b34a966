#!/usr/bin/env bash
# Runs campaigns that are large in one way, and says what they take.
set -euo pipefail
# shellcheck source=cluster/setup/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../cluster/setup/setup.sh"

usage()
{
    cat << 'HELP'
usage: tests/load.sh [--small] [--minutes M] [CHECK...]

Builds build/release if needed and runs the named checks, or all, which takes about two hours on two
cores (30 minutes of them the soak), 4 GiB on the disk of temporary files and 10 GiB of memory.

  many_ranks     100,000 shards on 64 ranks: each once, the bytes of one rank
  many_shards    memory of rank 0 with 1,000, 100,000 and 1,000,000 shards
  many_files     a folder of 200,000 pictures: time and memory of check, plan and run
  many_columns   5,000 item columns, 1,000 twins, a campaign file above 64 KiB
  large_plan     10^8 stimuli in 1.6 million shards: planned in 2 s and 500 MiB
  soak           half an hour with a checkpoint every 3 s: memory and open files of every rank

  --small        sizes that take seconds, as the tests of every change do
  --minutes M    length of the soak (default: 30)

Exit code 0: everything was as it should be. 1: something was not; the last lines say what.
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
step "load"
TWINSCREEN_EXECUTABLE=$twinscreen_root/build/release/twinscreen exec "$python" \
    "$twinscreen_root/tests/integration/load.py" "$@"
