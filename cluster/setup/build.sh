# shellcheck shell=bash disable=SC2034,SC2154 # variables cross files
# CMake: configure and build one preset.

# Some files include LibTorch and take up to 2 GiB of compiler memory each.
build_jobs()
{
    local jobs memory_kib
    jobs=$(nproc)
    memory_kib=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo 2> /dev/null)
    if [[ -n $memory_kib ]] && ((memory_kib / 2097152 < jobs)); then
        jobs=$((memory_kib / 2097152))
    fi
    ((jobs >= 1)) || jobs=1
    echo "$jobs"
}

# configure PRESET [CMAKE ARGUMENT...]
configure()
{
    local preset=$1 folder=$twinscreen_root/build/$1 arguments=()
    shift
    # A clone that was moved or copied with its build folder: CMake would refuse.
    if [[ -f $folder/CMakeCache.txt ]] \
        && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$twinscreen_root" "$folder/CMakeCache.txt"; then
        arguments+=(--fresh)
    fi
    step "configuring build/$preset"
    cd -- "$twinscreen_root" || return
    quietly "$folder/configure.log" cmake --preset "$preset" "${arguments[@]}" \
        -D "TWINSCREEN_LIBTORCH=$TWINSCREEN_LIBTORCH" -D "TWINSCREEN_PYTHON=$python" "$@" \
        || fail "CMake could not configure build/$preset (see above; all of it is in" \
            "$folder/configure.log)."
}

# build PRESET TARGET...
build()
{
    local preset=$1 started=$SECONDS
    shift
    step "building $* in build/$preset"
    # With ccache, objects of one clone serve the next: paths are taken relative to the clone.
    export CCACHE_BASEDIR=$twinscreen_root CCACHE_NOHASHDIR=1
    cd -- "$twinscreen_root" || return
    cmake --build "build/$preset" --parallel "$(build_jobs)" --target "$@" < /dev/null \
        || fail "the build of $* in build/$preset failed (see above)."
    if ((SECONDS - started > 5)); then say "built in $((SECONDS - started)) s"; fi
}
