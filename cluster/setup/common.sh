# shellcheck shell=bash disable=SC2034,SC2154 # variables cross files
# Messages, paths and small helpers. Sourced by every script in cluster/; never run by itself.

# The clone that this file belongs to, wherever it lies and wherever the caller stands.
twinscreen_root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)

say() { printf '%s\n' "$*"; }
step() { printf '== %s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
fail()
{
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# HOME is missing in some containers and service accounts; the password database knows it anyway.
home_folder() { printf '%s' "${HOME:-$(cd ~ && pwd)}"; }

cache=${XDG_CACHE_HOME:-}
[[ $cache == /* ]] || cache=$(home_folder)/.cache # a relative XDG_CACHE_HOME is invalid
cache=$cache/twinscreen
downloads=$cache/downloads

sha256_of()
{
    local digest _
    read -r digest _ < <(sha256sum -- "$1")
    printf '%s' "${digest#\\}" # sha256sum marks unusual file names with a backslash
}

# quietly LOG COMMAND...: output goes to LOG; only a failure shows it.
quietly()
{
    local log=$1
    shift
    mkdir -p -- "$(dirname -- "$log")"
    if ! "$@" > "$log" 2>&1 < /dev/null; then
        tail -n 60 -- "$log" >&2
        return 1
    fi
}

# lock_file FILE: sets lock_fd; waits for another run that holds the same lock. Give it back with
# unlock_file. A lock ends with its process, so there is nothing to clean up after a kill.
lock_file()
{
    lock_fd=
    command -v flock > /dev/null || return 0
    exec {lock_fd}> "$1"
    if ! flock --nonblock "$lock_fd"; then
        say "another run is setting this up; waiting for it"
        flock "$lock_fd"
    fi
}

unlock_file()
{
    [[ -z ${lock_fd:-} ]] || exec {lock_fd}>&-
    lock_fd=
}

# Physical cores this process may use: hardware threads do not count, restrictions do.
usable_cores()
{
    local allowed physical
    allowed=$(nproc)
    physical=$(lscpu --parse=CORE,SOCKET 2> /dev/null | grep -v '^#' | sort -u | wc -l)
    if ((physical > 0 && physical < allowed)); then echo "$physical"; else echo "$allowed"; fi
}

# Exports TWINSCREEN_DATA as an absolute path: what the caller says, else the folder shared/data beside
# the clone. Returns 1, with nothing exported, if there is no such folder.
find_data()
{
    local folder=${TWINSCREEN_DATA:-$twinscreen_root/../shared/data}
    unset TWINSCREEN_DATA
    [[ -d $folder ]] || return 1
    TWINSCREEN_DATA=$(cd -- "$folder" && pwd -P)
    export TWINSCREEN_DATA
}
