#!/usr/bin/env bash
# Builds and runs benchmarks: one JSON object a line on stdout, everything else on stderr.
set -euo pipefail
exec 3>&1 1>&2 # results go to 3; what set-up and build print is not a result
# shellcheck source=cluster/setup/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../cluster/setup/setup.sh"

usage()
{
    cat << 'HELP'
usage: benchmarks/run.sh NAME... [--install]
       benchmarks/run.sh --list

Builds build/release with the benchmarks if needed, runs those named ("all": every one) and prints
one JSON object a line on stdout: benchmark, case, metric, value, unit, target, ok, and what explains
the value. Messages go to stderr. Exit code 1 if a program failed; a missed target only sets "ok".

  --list      the benchmarks and what they measure
  --install   with python_peer: install PyTorch's Python side (1.7 GB to download, 3.5 GB unpacked)
              into the cache folder

Example:  benchmarks/run.sh end_to_end shared_backbone > results.jsonl

Real models and images are read from TWINSCREEN_DATA, else from ../shared/data beside the clone; what
needs them is skipped without. A quiet machine gives steady numbers.
HELP
}

declare -A about=(
    [claims]="claims per second of the shard queue, CPU share of its threads (2 ranks)"
    [end_to_end]="whole runs against the bound max(compute, feed, write) on these cores"
    [fit_readout]="a cross-validated ridge fit against the matrix products in it"
    [forward]="forward passes of every twin family against the published layers in LibTorch"
    [graph_overhead]="MobileNet as a graph bundle against the same layers written by hand"
    [io_model]="bytes, calls and alignment of a campaign of 1,000 ranks, by a dry run of the store"
    [python_peer]="whole runs against a Python loop (Pillow, PyTorch, h5py); needs PyTorch"
    [rnc_default_run]="the published size of a search by the executable on two ranks"
    [rnc_million]="relational control of a million images without similarities of every two"
    [rnc_null]="a million random sets of images scored, in one and two processes"
    [rnc_rsm]="correlations of pairs of images against the rate of a matrix product"
    [rnc_search]="searches for sets of images against a numpy loop like the public code"
    [rnc_trajectories]="ten genetic searches on real populations beside the published one"
    [rnc_univariate]="permutation tests and baseline scores of relational neural control"
    [scaling_simulation]="the shard queue on up to 16,384 ranks under a virtual clock"
    [scaling_strong]="the same campaign on 1 and 2 ranks"
    [scaling_weak]="twice the stimuli on twice the ranks"
    [shared_backbone]="eight readouts on one backbone against one, and against eight runs"
    [startup]="plan and create, and resume, of a million shards"
    [write_bandwidth]="stage file against plain pwrite and fsync (1 and 2 ranks)"
)
mapfile -t known < <(printf '%s\n' "${!about[@]}" | sort)

names=()
install=
while (($# > 0)); do
    case $1 in
        -h | --help) usage >&3 && exit ;;
        --list)
            for name in "${known[@]}"; do printf '%-18s %s\n' "$name" "${about[$name]}" >&3; done
            exit
            ;;
        --install) install=1 ;;
        all) names+=("${known[@]}") ;;
        *)
            [[ -n ${about[$1]:-} ]] || fail "no benchmark '$1' (known: all ${known[*]})"
            names+=("$1")
            ;;
    esac
    shift
done
((${#names[@]} > 0)) || fail "name a benchmark (try --list or --help)"

build_benchmarks()
{
    prepare "${build_packages[@]}"
    mkdir -p -- "$twinscreen_root/build"
    lock_file "$twinscreen_root/build/.lock"
    configure release -D TWINSCREEN_BUILD_BENCHMARKS=ON
    build release benchmarks
    unlock_file
}

bundles=$cache/benchmark-bundles

# convert KIND FOLDER: bundles of the published models in that folder of the data, if it is there.
convert()
{
    [[ -d $TWINSCREEN_DATA/$2 ]] || return 0
    convert_models "$1" "$TWINSCREEN_DATA/$2" "$bundles"
}

# Sets have_models if bundles and images are at hand.
find_models()
{
    have_models=
    if ! find_data; then
        warn "no real data (TWINSCREEN_DATA is not set): what needs them is skipped"
        TWINSCREEN_DATA=/nonexistent
        return 0
    fi
    convert v4_compact v4-compact-models
    convert sensorium sensorium-mouse-v1-twins
    convert imagenet_backbones imagenet-backbones
    if [[ -d $bundles/v4_shared_200 && -d $bundles/mouse_cnn && -d $bundles/mobilenet_v1 ]]; then have_models=1; fi
}

pytorch=$cache/pytorch

# The Python side of PyTorch in the cache folder, when asked for.
prepare_pytorch()
{
    local stamp=$pytorch/.twinscreen-stamp pins=$twinscreen_root/benchmarks/pytorch.txt wanted
    wanted=$(cat -- "$pins" "$libtorch_pins" | sha256sum)
    if [[ -f $stamp && $(< "$stamp") == "$wanted" ]]; then return; fi
    if [[ -z $install ]]; then
        warn "python_peer is skipped: PyTorch's Python side is not installed (--install does it)"
        return 1
    fi
    fetch_wheels "$python" "$libtorch_pins"
    fetch_wheels "$python" "$pins"
    step "installing PyTorch into $pytorch"
    rm -rf -- "$pytorch"
    cat -- "$pins" "$libtorch_pins" > "$cache/pytorch-pins.txt"
    quietly "$cache/pytorch.log" "$python" -m pip --disable-pip-version-check --no-input install \
        --no-index --find-links "$downloads" --no-deps --require-hashes --target "$pytorch" \
        --requirement "$cache/pytorch-pins.txt" || fail "installing PyTorch failed (see above)."
    printf '%s\n' "$wanted" > "$stamp"
}

# on_ranks N PROGRAM...: under mpirun, with a folder of its own below TMPDIR as working folder.
on_ranks()
{
    local ranks=$1
    shift
    mpi_environment
    mpirun_command "$ranks"
    (cd -- "$scratch" && "${mpirun[@]}" "$@" < /dev/null >&3)
}

# needs_models NAME: false, after a line that says so, where the real models are missing.
needs_models()
{
    [[ -n $have_models ]] && return 0
    warn "$1 is skipped: it needs the real models (TWINSCREEN_DATA)"
    return 1
}

run_benchmark()
{
    local programs=$twinscreen_root/build/release/benchmarks
    case $1 in
        claims) on_ranks 2 "$programs/claims_bench" ;;
        end_to_end) "$programs/end_to_end_bench" "$bundles" "$TWINSCREEN_DATA" >&3 ;;
        fit_readout) "$programs/fit_readout_bench" >&3 ;;
        forward) needs_models forward || return 0 && "$programs/forward_bench" "$bundles" >&3 ;;
        graph_overhead)
            needs_models graph_overhead || return 0
            "$programs/graph_overhead_bench" "$bundles" >&3
            ;;
        python_peer)
            needs_models python_peer && prepare_pytorch || return 0
            PYTHONPATH=$pytorch "$python" "$twinscreen_root/benchmarks/python_peer.py" \
                --twinscreen "$twinscreen_root/build/release/twinscreen" \
                --forward-rate "$programs/forward_rate" \
                --bundles "$bundles" --data "$TWINSCREEN_DATA" >&3
            ;;
        rnc_default_run | rnc_million | rnc_rsm | rnc_trajectories)
            mpi_environment
            mpirun_command 2
            "$python" "$twinscreen_root/benchmarks/rnc_run.py" "${1#rnc_}" --scratch "$scratch" \
                --twinscreen "$twinscreen_root/build/release/twinscreen" \
                --mpirun "${mpirun[*]}" >&3
            ;;
        rnc_null) "$programs/rnc_null_bench" >&3 ;;
        rnc_search)
            "$programs/rnc_search_bench" "$python" "$twinscreen_root/benchmarks/rnc_search_peer.py" \
                "$scratch" >&3
            ;;
        rnc_univariate) "$programs/rnc_univariate_bench" >&3 ;;
        scaling_strong | scaling_weak)
            mpi_environment
            mpirun_command 2
            "$python" "$twinscreen_root/benchmarks/scaling_run.py" "${1#scaling_}" --scratch "$scratch" \
                --twinscreen "$twinscreen_root/build/release/twinscreen" \
                --launcher "mpirun ${mpirun[*]:3} -n" >&3
            ;;
        io_model) "$programs/io_model_bench" >&3 ;;
        scaling_simulation) "$programs/scaling_simulation_bench" >&3 ;;
        shared_backbone)
            needs_models shared_backbone || return 0
            "$programs/shared_backbone_bench" "$bundles" "$TWINSCREEN_DATA" >&3
            ;;
        startup) "$programs/startup_bench" "$scratch" >&3 ;;
        write_bandwidth)
            on_ranks 1 "$programs/write_bandwidth_bench" "$scratch"
            on_ranks 2 "$programs/write_bandwidth_bench" "$scratch"
            ;;
    esac
}

build_benchmarks
find_models
scratch=$(mktemp -d "${TMPDIR:-/tmp}/twinscreen-bench-XXXXXX")
trap 'rm -rf -- "$scratch"' EXIT
status=0
for name in "${names[@]}"; do
    step "running $name"
    run_benchmark "$name" || {
        warn "$name ended with exit code $?"
        status=1
    }
done
exit "$status"
