#!/usr/bin/env bash
# Builds what needs a GPU on a machine that has little else, runs it, and writes down every figure.
set -euo pipefail
setup=$(dirname -- "${BASH_SOURCE[0]}")/setup
# shellcheck source=cluster/setup/common.sh
source "$setup/common.sh"
# shellcheck source=cluster/setup/unpacked.sh
source "$setup/unpacked.sh"
# shellcheck source=cluster/setup/packages.sh
source "$setup/packages.sh"
# shellcheck source=cluster/setup/offline_packages.sh
source "$setup/offline_packages.sh"

usage()
{
    cat << 'HELP'
usage: cluster/device_check.sh --fetch FOLDER
       cluster/device_check.sh [--packages FOLDER] --out FILE.json [--seconds N]

The second form runs on a GPU machine: it builds the tests labelled gpu and the GPU benchmarks (preset
cuda), runs them, prints a table and writes one JSON with the GPU, its driver and clocks, and every
figure. The machine needs CUDA 13's nvcc, g++, CMake, ninja, dpkg-deb and a python3 that holds PyTorch
2.11.0 (or TWINSCREEN_LIBTORCH); no network, no MPI, no HDF5. No setting of the GPU is changed.

  --fetch FOLDER     on a machine with network: download the Debian packages of everything else
                     (under 40 MiB) into FOLDER, to be carried over
  --packages FOLDER  what --fetch made; without it, what is installed is used
  --seconds N        end within N seconds (570); what does not fit is left out and said

Exit code 0: everything passed; 1: something did not; 5: there is no GPU (what can be is built first).
HELP
}

# Programs that take --json FILE, in the order in which they run.
gpu_benchmarks=(device_search_bench device_forward_bench)

fetch='' packages='' out='' seconds=570
while (($# > 0)); do
    case $1 in
        -h | --help) usage && exit ;;
        --fetch) fetch=${2:?--fetch needs a folder} && shift 2 ;;
        --packages) packages=${2:?--packages needs a folder} && shift 2 ;;
        --out) out=${2:?--out needs a file} && shift 2 ;;
        --seconds) seconds=${2:?--seconds needs a number} && shift 2 ;;
        *) usage >&2 && exit 2 ;;
    esac
done

if [[ -n $fetch ]]; then
    fetch_offline_packages "$fetch"
    exit
fi
[[ -n $out && $seconds =~ ^[0-9]+$ ]] || { usage >&2 && exit 2; }

out=$(realpath -m -- "$out")
build=$twinscreen_root/build/cuda
work=$twinscreen_root/build/device_check # logs, and figures before they are one file
unpacked=$work/packages
rm -rf -- "$work"
mkdir -p -- "$work/logs" "$work/figures" "$(dirname -- "$out")"
# Steps beside the build take this long at most; benchmarks share what is left after the tests.
unpack_limit=60 configure_limit=60 test_limit=90 bundle_limit=80 benchmark_limit=60 run_limit=150 report_time=5
build_limit=$((seconds - unpack_limit - configure_limit - test_limit - bundle_limit - benchmark_limit))

seconds_left() { echo $((seconds - SECONDS - report_time)); }

# timed NAME LIMIT COMMAND...: output goes to a log; how it ended is a line of steps.tsv. A failure is told, and returned.
timed()
{
    local name=$1 limit=$2 left started=$EPOCHREALTIME code=0
    shift 2
    left=$(seconds_left)
    ((limit <= left)) || limit=$left
    step "$name (at most $limit s)"
    if ((limit > 0)); then
        timeout --kill-after=5 "$limit" "$@" > "$work/logs/$name.log" 2>&1 < /dev/null || code=$?
    else
        code=124
    fi
    printf '%s\t%s\t%s\t%s\n' "$name" "$started" "$EPOCHREALTIME" "$code" >> "$work/steps.tsv"
    ((code != 124 && code != 137)) || say "$name: no time was left for it"
    ((code == 0 || code == 124 || code == 137)) || tail -n 15 -- "$work/logs/$name.log"
    return "$code"
}

# Sets libtorch to the folder of the PyTorch that python3 finds.
find_libtorch()
{
    libtorch=${TWINSCREEN_LIBTORCH:-}
    [[ -z $libtorch ]] || return 0
    libtorch=$(python3 -c 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])' \
        2> /dev/null) || fail "python3 has no PyTorch (set TWINSCREEN_LIBTORCH to a folder with its lib/ and include/)."
    local version
    version=$(python3 -c 'import importlib.metadata as m; print(m.version("torch"))')
    [[ $version == 2.11.0* ]] || fail "python3 has PyTorch $version; twinscreen is built with 2.11.0."
}

# Machine code for the GPU at hand only, where there is one: half the work of nvcc.
configure_arguments()
{
    local capability
    printf '%s\n' --preset cuda --fresh -D "TWINSCREEN_LIBTORCH=$libtorch" -D "TWINSCREEN_PYTHON=$(command -v python3)" \
        -D TWINSCREEN_BUILD_BENCHMARKS=ON
    capability=$(gpu_query compute_cap | head -n 1 | tr -d .)
    [[ ! $capability =~ ^[0-9]+$ ]] || printf '%s\n' -D "CMAKE_CUDA_ARCHITECTURES=$capability"
}

gpu_query() { nvidia-smi "--query-gpu=$1" --format=csv,noheader,nounits 2> /dev/null || true; }

# The benchmarks of the list that this source tree has.
present_benchmarks()
{
    local name
    for name in "${gpu_benchmarks[@]}"; do
        [[ ! -f $twinscreen_root/benchmarks/$name.cpp ]] || printf '%s\n' "$name"
    done
}

unpack()
{
    [[ -z $packages ]] && return
    local started=$EPOCHREALTIME code=0
    packages=$(realpath -- "$packages")
    compgen -G "$packages/*.deb" > /dev/null || fail "$packages holds no Debian packages (--fetch makes them)."
    [[ $unpacked =~ ^[A-Za-z0-9_./+-]+$ ]] || fail "$unpacked: packages cannot be unpacked below such a name."
    step "unpack $packages"
    quietly "$work/logs/unpack.log" unpack_offline_packages "$packages" || fail "the packages could not be unpacked."
    printf 'unpack\t%s\t%s\t%s\n' "$started" "$EPOCHREALTIME" "$code" >> "$work/steps.tsv"
    use_offline_packages
}

# made_network NAME FOLDER [OPTION...]: a network of torchvision with random weights; speed does not depend on them.
made_network()
{
    local name=$1 folder=$2
    shift 2
    PYTHONDONTWRITEBYTECODE=1 python3 "$twinscreen_root/engine/twin/converters/export_model.py" torch \
        "torchvision.models:$name" "$folder" --name "$name" --mean 123.675,116.28,103.53 --scale 58.395,57.12,57.375 "$@"
}

# Two networks of common shapes, and readouts of 1 and of 8 subjects on one of them.
make_bundles()
{
    local subjects readouts
    made_network resnet50 "$work/bundles/resnet50" || return
    made_network vit_b_32 "$work/bundles/vit_b_32" || return
    made_network resnet50 "$work/features" --tap view || return
    for subjects in 1 8; do
        readouts=$work/readouts_$subjects.safetensors
        python3 "$twinscreen_root/benchmarks/made_readouts.py" "$readouts" --subjects "$subjects" || return
        PYTHONDONTWRITEBYTECODE=1 python3 "$twinscreen_root/engine/twin/converters/convert_readouts.py" "$readouts" \
            "$work/features" "$work/bundles/resnet50_subjects_$subjects" --tap view || return
    done
}

# benchmark_command NAME: its program and arguments, a line each.
benchmark_command()
{
    case $1 in
        device_runs.py)
            printf '%s\n' python3 "$twinscreen_root/benchmarks/device_runs.py" "$build/twinscreen" "$work/bundles" ;;
        device_forward_bench) printf '%s\n' "$build/benchmarks/$1" --bundles "$work/bundles" ;;
        *) printf '%s\n' "$build/benchmarks/$1" ;;
    esac
}

# run_benchmark NAME LIMIT: with a watch on the clocks, as nobody sets them.
run_benchmark()
{
    local name=$1 limit=$2 watch command
    mapfile -t command < <(benchmark_command "$name")
    nvidia-smi --query-gpu=index,clocks.sm,clocks.mem,power.draw,temperature.gpu --format=csv,noheader,nounits \
        --loop-ms=500 > "$work/figures/$name.clocks" 2> /dev/null &
    watch=$!
    timed "$name" "$limit" "${command[@]}" --json "$work/figures/$name.json" || true
    kill "$watch" 2> /dev/null || true
    wait "$watch" 2> /dev/null || true
}

report() { python3 "$setup/device_report.py" "$work" "$build" "$out"; }

cd -- "$twinscreen_root"
find_libtorch
unpack
mapfile -t arguments < <(configure_arguments)
mapfile -t benchmarks < <(present_benchmarks)
is_built=1
timed configure "$configure_limit" cmake "${arguments[@]}" \
    && timed build "$build_limit" cmake --build "$build" --parallel "$(nproc)" --target tests_gpu twinscreen "${benchmarks[@]}" \
        -- -k 0 || is_built=0

if ! nvidia-smi -L > /dev/null 2>&1; then
    report || true
    say "no GPU here (nvidia-smi finds none): nothing was run on one"
    ((is_built)) && exit 5
    exit 1
fi
gpu_query index,name,uuid,driver_version,compute_cap,memory.total,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,power.limit,ecc.mode.current \
    > "$work/figures/gpus.csv"
mkdir -p -- "$work/bundles"
export -f made_network make_bundles
export twinscreen_root work
has_torchvision=0
python3 -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torchvision") is None)' && has_torchvision=1
if ((has_torchvision)); then
    timed bundles "$bundle_limit" bash -c make_bundles || true
else
    say "python3 holds no torchvision: its networks, and runs beside PyTorch, are left out"
fi
export TWINSCREEN_BUNDLES=$work/bundles
timed tests "$test_limit" ctest --test-dir "$build" --label-regex '^gpu$' --output-on-failure --no-tests=error \
    --timeout 60 --output-junit "$work/figures/tests.xml" || true
for name in "${benchmarks[@]}"; do
    [[ ! -x $build/benchmarks/$name ]] || run_benchmark "$name" "$benchmark_limit"
done
[[ ! -x $build/twinscreen ]] || ((!has_torchvision)) || run_benchmark device_runs.py "$run_limit"
report
