# shellcheck shell=bash disable=SC2034,SC2154 # variables cross files
# Sources the other pieces; prepare brings packages, Python and LibTorch.

setup=${BASH_SOURCE[0]%/*}
# shellcheck source=cluster/setup/common.sh
source "$setup/common.sh"
# shellcheck source=cluster/setup/unpacked.sh
source "$setup/unpacked.sh"
# shellcheck source=cluster/setup/packages.sh
source "$setup/packages.sh"
# shellcheck source=cluster/setup/downloads.sh
source "$setup/downloads.sh"
# shellcheck source=cluster/setup/python.sh
source "$setup/python.sh"
# shellcheck source=cluster/setup/libtorch.sh
source "$setup/libtorch.sh"
# shellcheck source=cluster/setup/build.sh
source "$setup/build.sh"
# shellcheck source=cluster/setup/launch.sh
source "$setup/launch.sh"
# shellcheck source=cluster/setup/bundles.sh
source "$setup/bundles.sh"

# prepare PACKAGE...
prepare()
{
    mkdir -p -- "$downloads" 2> /dev/null \
        || fail "cannot write to $cache. Set XDG_CACHE_HOME to a folder of your own."
    lock_file "$cache/.lock"
    need_packages "$@" || exit 1
    prepare_python
    prepare_libtorch
    unlock_file
}
