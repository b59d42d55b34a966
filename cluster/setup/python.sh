# shellcheck shell=bash disable=SC2034,SC2154 # variables cross files
# The Python side (converters, tests, reading results): a virtual environment in the cache folder.

python=$cache/python/bin/python
python_pins=$twinscreen_root/cluster/setup/requirements.txt

# Settings of the caller's own Python must not reach ours, and the clone stays free of .pyc files.
unset PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX
export PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1 PIP_USER=0

# Sets base_python to a Python that fits the pinned wheels and can make virtual environments.
find_base_python()
{
    local candidate seen=()
    for candidate in ${TWINSCREEN_BASE_PYTHON:+"$TWINSCREEN_BASE_PYTHON"} /usr/bin/python3 \
        /usr/bin/python3.11 python3.11 python3; do
        base_python=$(command -v -- "$candidate") || continue
        if "$base_python" -c \
            'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' \
            > /dev/null 2>&1; then
            return 0
        fi
        seen+=("$base_python ($("$base_python" --version 2>&1))")
    done
    fail "no usable CPython 3.11 with its venv module (the pinned wheels are for 3.11;" \
        "tried: ${seen[*]:-none found}). On Debian 12 it is the packages python3 and" \
        "python3-venv; elsewhere set TWINSCREEN_BASE_PYTHON=/path/to/python3.11."
}

prepare_python()
{
    local stamp wanted version venv=$cache/python
    stamp=$venv/.twinscreen-stamp
    wanted=$(sha256_of "$python_pins")
    # An update of the system's Python within 3.11 is fine; a Python that no longer starts is not.
    if [[ -f $stamp && $(< "$stamp") == "$wanted" ]] \
        && version=$("$python" -c 'import sys; print(sys.version_info[:2])' 2> /dev/null) \
        && [[ $version == '(3, 11)' ]]; then
        return 0
    fi
    find_base_python
    step "making the Python environment $venv (from $base_python)"
    rm -f -- "$stamp"
    "$base_python" -m venv --clear "$venv" < /dev/null \
        || fail "$base_python could not make a virtual environment in $venv (see above)."
    fetch_wheels "$python" "$python_pins"
    quietly "$cache/python.log" "$python" -m pip --disable-pip-version-check --no-input install \
        --no-index --find-links "$downloads" --no-deps --require-hashes \
        --requirement "$python_pins" \
        || fail "installing the Python packages failed (see above)."
    printf '%s\n' "$wanted" > "$stamp"
}
