#!/usr/bin/env bash
# Feeds the readers of files from elsewhere with damaged ones, and says whether any of them gave way.
set -euo pipefail
# shellcheck source=cluster/setup/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../cluster/setup/setup.sh"

usage()
{
    cat << 'HELP'
usage: tests/fuzz.sh [--seconds S] [NAME...]

Builds the libFuzzer programs of tests/fuzz in build/fuzz (clang 14, address and undefined-behaviour
sanitizers) and runs each of them, or those named, two at a time. They start from tests/fuzz/corpus;
what they find of interest is kept in build/fuzz/corpus and used by the next run.

  --seconds S   run each program for S seconds (default: 20)

Exit code 0: every input was taken or refused with an error message. 1: one made a program crash, leak,
take more than a second or more than 512 MiB at once; the file that holds it is named. To see it again:
build/fuzz/fuzzers/fuzz_NAME FILE. Committed to tests/fuzz/corpus/NAME, it becomes a test.
HELP
}

seconds=20
while (($# > 0)); do
    case $1 in
        -h | --help) usage && exit ;;
        --seconds) seconds=${2:?--seconds needs a number} && shift 2 ;;
        --seconds=*) seconds=${1#*=} && shift ;;
        *) break ;;
    esac
done
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "--seconds $seconds is not a whole number above 0"

prepare "${build_packages[@]}" "${fuzz_packages[@]}"
mkdir -p -- "$twinscreen_root/build"
lock_file "$twinscreen_root/build/.lock"
configure fuzz
build fuzz fuzzers
unlock_file

folder=$twinscreen_root/build/fuzz
names=("$@")
if ((${#names[@]} == 0)); then
    for program in "$folder"/fuzzers/fuzz_*; do names+=("${program##*/fuzz_}"); done
fi
for name in "${names[@]}"; do
    [[ -x $folder/fuzzers/fuzz_$name ]] || fail "there is no fuzzer $name (see tests/fuzz)"
done
TMPDIR=$(mktemp -d)
export TMPDIR TWINSCREEN_SOURCE=$twinscreen_root
trap 'rm -rf -- "$TMPDIR"' EXIT
mkdir -p -- "$folder/artifacts" "$folder/logs"

# fuzz NAME: one program for its time; its output goes to a log. Other work on this machine can make a
# quick input look slow: one that takes less than a second when it is tried again is no finding.
fuzz()
{
    local name=$1 end=$((SECONDS + seconds)) slow
    : > "$folder/logs/$name.log"
    until fuzz_once "$name" $((end - SECONDS)); do
        slow=$(artifact_of "$name")
        [[ $slow == *-timeout-* ]] || return 1
        "$folder/fuzzers/fuzz_$name" -timeout="$(longest_answer "$name")" "$slow" > /dev/null 2>&1 || return 1
        rm -- "$slow"
        ((SECONDS < end)) || return 0
    done
}

# artifact_of NAME: the input that the last run ended with.
artifact_of() { sed -n 's/.*Test unit written to //p' "$folder/logs/$1.log" | tail -n 1; }

# longest_answer NAME: more than so many seconds for one input are a hang. HDF5 is read by children,
# which are given up after up to five seconds.
longest_answer() { case $1 in hdf5 | store) echo 10 ;; *) echo 1 ;; esac; }

# fuzz_once NAME SECONDS
fuzz_once()
{
    local name=$1 options=(-max_total_time="$2" -timeout="$(longest_answer "$1")" -rss_limit_mb=2048
        -malloc_limit_mb=512 -print_final_stats=1 -artifact_prefix="$folder/artifacts/$1-")
    local dictionary=$twinscreen_root/tests/fuzz/$name.dict
    [[ ! -f $dictionary ]] || options+=(-dict="$dictionary")
    mkdir -p -- "$folder/corpus/$name"
    "$folder/fuzzers/fuzz_$name" "${options[@]}" "$folder/corpus/$name" \
        "$twinscreen_root/tests/fuzz/corpus/$name" >> "$folder/logs/$name.log" 2>&1 < /dev/null
}

# report NAME VERDICT: executions are those of all runs of the log, coverage that of the last.
report()
{
    awk -v name="$1" -v verdict="$2" -v seconds="$seconds" '
        /number_of_executed_units:/ { units += $2 }
        match($0, / cov: [0-9]+/) { coverage = substr($0, RSTART + 6, RLENGTH - 6) }
        END { printf "%-14s %12d %8d %9d  %s\n", name, units, units / seconds, coverage, verdict }
    ' "$folder/logs/$1.log"
}

step "fuzzing ${#names[@]} readers for $seconds s each, two at a time"
printf '%-14s %12s %8s %9s  %s\n' reader executions 'per s' coverage verdict
failed=()
declare -A running=()
# finish_one: waits for any of the programs and reports it.
finish_one()
{
    local process status=0 name artifact
    wait -n -p process "${!running[@]}" || status=$?
    name=${running[$process]}
    unset "running[$process]"
    if ((status == 0)); then
        report "$name" "nothing found"
        return
    fi
    failed+=("$name")
    artifact=$(artifact_of "$name")
    report "$name" "FAILED: ${artifact:-no input was written}, see $folder/logs/$name.log"
}
for name in "${names[@]}"; do
    if ((${#running[@]} == 2)); then finish_one; fi
    fuzz "$name" &
    running[$!]=$name
done
while ((${#running[@]} > 0)); do finish_one; done
((${#failed[@]} == 0)) || fail "found by: ${failed[*]}"
