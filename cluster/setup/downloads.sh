# shellcheck shell=bash disable=SC2034,SC2154 # variables cross files
# Pinned wheels in the cache folder. A pin file has one wheel a line: name==version
# --hash=sha256:digest, the name spelled as in the wheel's file name but with '-' for '_'.

# parse_pin LINE: sets pin_name, pin_version, pin_digest; returns 1 for comments and empty lines.
parse_pin()
{
    [[ $1 =~ ^([A-Za-z0-9.-]+)==([^ ]+)\ --hash=sha256:([0-9a-f]{64})$ ]] || return 1
    pin_name=${BASH_REMATCH[1]} pin_version=${BASH_REMATCH[2]} pin_digest=${BASH_REMATCH[3]}
}

# find_wheel LINE: sets wheel to the downloaded file of this pin, its SHA-256 checked; returns 1 if
# there is none. A file of that name with other content is deleted.
find_wheel()
{
    local file
    parse_pin "$1" || fail "not a pin: $1"
    for file in "$downloads/${pin_name//-/_}-$pin_version"-*.whl; do
        [[ -f $file ]] || continue
        if [[ $(sha256_of "$file") == "$pin_digest" ]]; then
            wheel=$file
            return 0
        fi
        say "deleting $file (its SHA-256 is not the pinned one: damaged or changed)"
        rm -f -- "$file"
    done
    return 1
}

# fetch_wheels PYTHON PIN_FILE: afterwards every wheel of the pin file is in the downloads folder,
# checked. Asks the network only for what is missing.
fetch_wheels()
{
    local python=$1 pins=$2 line missing=()
    while IFS= read -r line; do
        parse_pin "$line" || continue
        find_wheel "$line" || missing+=("$line")
    done < "$pins"
    ((${#missing[@]} == 0)) && return 0

    step "downloading ${#missing[@]} files into $downloads"
    rm -rf -- "$downloads"/.incoming.* # left by a run that was killed
    local incoming
    incoming=$(mktemp -d "$downloads/.incoming.XXXXXX")
    printf '%s\n' "${missing[@]}" > "$incoming/pins.txt"
    local progress=off
    [[ -t 1 ]] && progress=on
    if ! "$python" -m pip --disable-pip-version-check --no-input --retries 2 download --quiet --no-cache-dir \
        --progress-bar "$progress" --no-deps --require-hashes --only-binary=:all: \
        --dest "$incoming" --requirement "$incoming/pins.txt" < /dev/null; then
        rm -rf -- "$incoming"
        fail "the download failed (see above). Without network here, type 'cluster/quickstart.sh" \
            "--fetch-only' on a machine that has one and shares or copies $downloads."
    fi
    mv -f -- "$incoming"/*.whl "$downloads/"
    rm -rf -- "$incoming"
    for line in "${missing[@]}"; do
        find_wheel "$line" || fail "the download of $pin_name $pin_version left no usable file"
    done
}
