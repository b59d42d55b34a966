#!/usr/bin/env bash
# Builds twinscreen with all its tests and runs them.
set -euo pipefail
# shellcheck source=cluster/setup/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup/setup.sh"

usage()
{
    cat << 'HELP'
usage: cluster/test.sh [--preset NAME] [CTEST ARGUMENT...]

Installs what is missing, builds everything in build/NAME (default: release) and runs the tests.

  cluster/test.sh                      all tests
  cluster/test.sh -R Ledger            those whose name contains Ledger
  cluster/test.sh -LE integration      all but the slow ones that start the real program
  cluster/test.sh -L unit              one kind (unit, parallel, integration, cluster, gpu); builds no others
  cluster/test.sh --preset debug -V    another configuration, with all output
  cluster/test.sh --preset sanitize -LE parallel     memory errors and undefined behaviour
  cluster/test.sh --preset tsan -L threads           data races, in the unit tests with threads

Every further argument goes to ctest. Tests that cannot run here (no GPU, no real data) are skipped;
the last lines say how many and why, and how the failed ones ended.
HELP
}

preset=release
while (($# > 0)); do
    case $1 in
        -h | --help) usage && exit ;;
        --preset) preset=${2:?--preset needs a name} && shift 2 ;;
        --preset=*) preset=${1#*=} && shift ;;
        *) break ;;
    esac
done

if [[ -n ${TWINSCREEN_DATA:-} ]]; then
    find_data || fail "TWINSCREEN_DATA is not a folder"
else
    find_data || say "no real data here (TWINSCREEN_DATA is not set): tests that need them will skip"
fi
prepare "${build_packages[@]}" "${test_packages[@]}"
mkdir -p -- "$twinscreen_root/build"
lock_file "$twinscreen_root/build/.lock"
configure "$preset" -D TWINSCREEN_BUILD_TESTS=ON
if [[ ${1:-} == -L && ${2:-} =~ ^(unit|parallel|integration|cluster|threads|gpu|emulated|\|)+$ ]]; then
    IFS='|' read -ra labels <<< "$2"
    build "$preset" "${labels[@]/#/tests_}"
else
    build "$preset" all
fi
unlock_file

mpi_environment
export OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none # tests run side by side: bound, they share one core

step "testing build/$preset"
report=$twinscreen_root/build/$preset/tests.xml
rm -f -- "$report"
status=0
ctest --test-dir "$twinscreen_root/build/$preset" --output-on-failure --no-tests=error \
    --parallel "$(nproc)" --output-junit "$report" "$@" < /dev/null || status=$?
if [[ -f $report ]]; then
    "$python" "$twinscreen_root/cluster/setup/test_report.py" "$report"
fi
exit "$status"
