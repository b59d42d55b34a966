# shellcheck shell=bash disable=SC2034,SC2154 # variables cross files
# Bundles: the published models as the engine reads them.

# convert_models KIND SOURCE OUT [ARGUMENT...]: engine/twin/converters/convert_KIND.py turns the models
# in the folder SOURCE into bundles in the folder OUT, unless models, converters and arguments (files
# among them: their content) are those of the last time.
convert_models()
{
    local kind=$1 models=$2 out=$3 stamp=$3/.$1.stamp wanted argument
    shift 3
    wanted=$({
        cat -- "$twinscreen_root"/engine/twin/converters/*.py
        for argument in "$@"; do
            if [[ -f $argument ]]; then cat -- "$argument"; else printf '%s\n' "$argument"; fi
        done
        cd -- "$models" && find . -type f -printf '%p %s %T@\n' | LC_ALL=C sort
    } | sha256sum)
    mkdir -p -- "$out" || fail "cannot write to $out"
    lock_file "$out/.$kind.lock"
    if [[ ! -f $stamp || $(< "$stamp") != "$wanted" ]]; then
        step "converting the models of $models"
        "$python" "$twinscreen_root/engine/twin/converters/convert_$kind.py" "$models" "$out" "$@" \
            < /dev/null || fail "the conversion of $models failed (see above)."
        printf '%s\n' "$wanted" > "$stamp"
    fi
    unlock_file
}
