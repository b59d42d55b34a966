#!/usr/bin/env bash
# From a fresh clone to results: installs what is missing, builds, runs the main job on 2 ranks.
set -euo pipefail
# shellcheck source=cluster/setup/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup/setup.sh"

usage()
{
    cat << 'HELP'
usage: cluster/quickstart.sh [--fetch-only] [--ranks N] [--out DIR]

Installs what is missing (Debian packages; LibTorch and Python packages in a cache folder), builds
build/release/twinscreen and screens stimuli through an analytic V1 population on N MPI ranks. When
real models are found (TWINSCREEN_DATA, else ../shared/data beside the clone) it converts them, scores
the V4 models against recorded neurons and screens the V4 images through them as well. The same
command again continues a job that was stopped, and takes seconds when all is done.

  --fetch-only   only fill the cache (on a login node), so that the build needs no network
  --ranks N      MPI processes (default 2)
  --out DIR      folder for the results (default: results/ in the clone)

Environment: XDG_CACHE_HOME (cache: $XDG_CACHE_HOME/twinscreen, default ~/.cache/twinscreen),
TWINSCREEN_DATA (real models and images), TWINSCREEN_BUNDLES (where converted models go),
TWINSCREEN_LIBTORCH (a site's own LibTorch), TWINSCREEN_BASE_PYTHON (a Python 3.11).
Exit code 75: stopped; type the same command to go on.
HELP
}

fetch_only=
ranks=2
results=$twinscreen_root/results
while (($# > 0)); do
    case $1 in
        -h | --help) usage && exit ;;
        --fetch-only) fetch_only=1 ;;
        --ranks) ranks=${2:-} && shift ;;
        --ranks=*) ranks=${1#*=} ;;
        --out) results=${2:-} && shift ;;
        --out=*) results=${1#*=} ;;
        *) fail "unknown argument '$1' (try --help)" ;;
    esac
    shift || fail "the last argument needs a value (try --help)"
done
[[ $ranks =~ ^[1-9][0-9]{0,3}$ ]] || fail "--ranks '$ranks' is not a number of processes (1..9999)"
[[ -n $results ]] || fail "--out needs a folder"

if [[ -n $fetch_only ]]; then
    prepare ca-certificates python3 python3-venv # a login node may lack what only the build needs
    say "everything that is downloaded is in $cache; no network is needed from now on"
    exit
fi
prepare "${build_packages[@]}"

mkdir -p -- "$twinscreen_root/build" "$results" \
    || fail "cannot write to $twinscreen_root/build or $results"
results=$(cd -- "$results" && pwd -P)
TWINSCREEN_BUNDLES=$(realpath -m -- "${TWINSCREEN_BUNDLES:-$results/bundles}")
export TWINSCREEN_BUNDLES
asked=${TWINSCREEN_DATA:-} have_models=
if find_data && [[ -d $TWINSCREEN_DATA/v4-compact-models ]]; then
    have_models=1
elif [[ -n $asked ]]; then
    warn "TWINSCREEN_DATA=$asked has no folder v4-compact-models: the real models are left out"
fi

lock_file "$twinscreen_root/build/.lock"
configure release
build release twinscreen
unlock_file

# screen NAME: runs experiments/campaigns/NAME.toml, on from where it stood, into $results/NAME.
screen()
{
    local status=0
    step "running the campaign $1 on $ranks ranks"
    mpirun_command "$ranks"
    run_stoppable "${mpirun[@]}" build/release/twinscreen run "experiments/campaigns/$1.toml" \
        --out "$results/$1" || status=$?
    case $status in
        0) finished+=("$1") ;;
        75) was_stopped=1 ;;
        *) [[ -n $was_stopped ]] || say "campaign $1 ended with exit code $status (see above)." >&2 ;;
    esac
    if [[ -n $was_stopped ]]; then
        say "stopped; nothing finished is lost. Type the same command to go on."
        exit 75
    fi
    ((status == 0)) || exit "$status"
}

# convert_v4: bundles of the V4 models; accuracies that campaigns have found go into their unit tables.
convert_v4()
{
    local name tables=()
    for name in "${accuracy_campaigns[@]}"; do
        if [[ -f $results/$name/accuracy.csv ]]; then
            tables+=(--accuracy "$results/$name/accuracy.csv")
        fi
    done
    convert_models v4_compact "$TWINSCREEN_DATA/v4-compact-models" "$TWINSCREEN_BUNDLES" "${tables[@]}"
}

finished=()
screen quickstart

if [[ -n $have_models ]]; then
    accuracy_campaigns=(v4_accuracy_190923 v4_accuracy_210225)
    convert_v4
    if [[ -d $TWINSCREEN_DATA/sensorium-mouse-v1-twins ]]; then
        convert_models sensorium "$TWINSCREEN_DATA/sensorium-mouse-v1-twins" "$TWINSCREEN_BUNDLES"
    fi
    if [[ -d $TWINSCREEN_DATA/imagenet-backbones ]]; then # for the campaigns v4_fit_*
        convert_models imagenet_backbones "$TWINSCREEN_DATA/imagenet-backbones" "$TWINSCREEN_BUNDLES"
    fi
    for campaign in "${accuracy_campaigns[@]}"; do screen "$campaign"; done
    convert_v4
    screen v4_screen
fi

say ""
say "Done in $SECONDS s."
folders=("${finished[@]/#/$results/}")
"$python" cluster/setup/describe_results.py "${folders[@]}"
say "Open a store in $python with"
say "  import xarray"
say "  print(xarray.open_datatree(\"$(find "${folders[0]}" -maxdepth 1 -name '*.h5' | sort | head -n 1)\"))"
say "Your own campaign:"
say "  $twinscreen_root/build/release/twinscreen init screen"
say "  $(mpirun_for_users) -n $ranks $twinscreen_root/build/release/twinscreen run screen.toml"
