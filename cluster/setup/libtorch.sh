# shellcheck shell=bash disable=SC2034,SC2154 # variables cross files
# LibTorch: the part of the PyTorch wheel that a C++ program on a CPU links, unpacked in the cache
# folder. A site's own (TWINSCREEN_LIBTORCH=folder with lib/ and include/) is taken instead.

libtorch_pins=$twinscreen_root/cluster/setup/libtorch.txt
libtorch_unpack=$twinscreen_root/cluster/setup/unpack_libtorch.py

prepare_libtorch()
{
    local folder=$cache/libtorch-2.11.0 wanted
    if [[ -n ${TWINSCREEN_LIBTORCH:-} && $TWINSCREEN_LIBTORCH != "$folder" ]]; then
        [[ -f $TWINSCREEN_LIBTORCH/lib/libtorch_cpu.so && -d $TWINSCREEN_LIBTORCH/include ]] \
            || fail "TWINSCREEN_LIBTORCH=$TWINSCREEN_LIBTORCH has no lib/libtorch_cpu.so and include/" \
                "(unset it to use the pinned LibTorch from the cache)."
        return 0
    fi
    export TWINSCREEN_LIBTORCH=$folder
    wanted=$(cat -- "$libtorch_pins" "$libtorch_unpack" | sha256sum)
    if [[ -f $folder/.twinscreen-stamp && $(< "$folder/.twinscreen-stamp") == "$wanted" ]]; then
        return 0
    fi
    [[ $(uname -sm) == 'Linux x86_64' ]] \
        || fail "the pinned LibTorch is for x86-64 Linux, this is $(uname -sm)." \
            "Set TWINSCREEN_LIBTORCH to a folder with lib/ and include/ of LibTorch 2.11."
    local free_mib
    free_mib=$(df -Pk -- "$cache" | awk 'NR == 2 { print int($4 / 1024) }')
    ((free_mib > 1200)) \
        || fail "$cache has $free_mib MiB free, LibTorch needs about 1200." \
            "Set XDG_CACHE_HOME to a roomier folder."

    fetch_wheels "$python" "$libtorch_pins"
    step "unpacking LibTorch 2.11.0 into $folder"
    local wheels=() line partial
    while IFS= read -r line; do
        parse_pin "$line" || continue
        wheels+=("$downloads/${pin_name//-/_}-$pin_version"-*.whl)
    done < "$libtorch_pins"
    rm -rf -- "$cache"/.libtorch.* # left by a run that was killed
    partial=$(mktemp -d "$cache/.libtorch.XXXXXX")
    chmod 755 -- "$partial"
    "$python" "$libtorch_unpack" "$partial" "${wheels[@]}" \
        || fail "LibTorch could not be unpacked (see above)."
    printf '%s\n' "$wanted" > "$partial/.twinscreen-stamp"
    rm -rf -- "$folder"
    mv -T -- "$partial" "$folder"
}
