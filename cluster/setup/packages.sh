# shellcheck shell=bash disable=SC2034,SC2154 # variables cross files
# Debian packages: finds the missing ones and installs them through apt-get, without a question; unpacks
# them in the cache folder where nobody may install.

build_packages=(
    g++ cmake ninja-build pkgconf git ca-certificates
    openmpi-bin libopenmpi-dev libhdf5-openmpi-dev libtrilinos-kokkos-dev
    libfmt-dev libspdlog-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev
    librandom123-dev libxxhash-dev libssl-dev
    zlib1g-dev libpng-dev libjpeg62-turbo-dev libturbojpeg0-dev libzip-dev
    python3 python3-venv
)
test_packages=(libgtest-dev libgmock-dev libbenchmark-dev ccache)
fuzz_packages=(clang-14 libclang-rt-14-dev llvm-14) # llvm-14: line numbers in the reports
format_packages=(clang-format-14)
further_test_packages=(slurmctld slurmd slurm-client munge strace) # tests that need them skip without

# missing_packages NAME...: one package a line that is neither installed nor unpacked.
missing_packages()
{
    local -A installed=()
    local name status
    while read -r name status; do
        [[ $status == installed ]] && installed[$name]=1
    done < <(dpkg-query --show --showformat '${Package} ${db:Status-Status}\n' "$@" 2> /dev/null)
    for name in "$@"; do
        [[ -n ${installed[$name]:-} || -e $unpacked/names/$name ]] || printf '%s\n' "$name"
    done
}

# Sets as_root to the words that make a command run as root; returns 1 when there are none.
find_root()
{
    as_root=()
    ((EUID == 0)) && return 0
    command -v sudo > /dev/null || return 1
    as_root=(sudo -n) # never asks: a script that waits for a password looks hung
    sudo -n true 2> /dev/null
}

apt_get()
{
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "$@"
}

# A fresh container has no package lists; an old machine has lists that name files long gone.
install_with_apt()
{
    if compgen -G '/var/lib/apt/lists/*Packages*' > /dev/null \
        && apt_get install --no-install-recommends "$@"; then
        return 0
    fi
    apt_get update && apt_get install --no-install-recommends "$@"
}

# need_packages NAME...: returns 1, after one line that says what to do, if any stays missing.
need_packages()
{
    if ! command -v dpkg-query > /dev/null; then
        say "no dpkg here: packages cannot be checked; CMake will name what is missing"
        return 0
    fi
    local missing
    mapfile -t missing < <(missing_packages "$@")
    if ((${#missing[@]} > 0)); then install_or_unpack "${missing[@]}" || return; fi
    use_unpacked_packages
}

# install_or_unpack NAME...: returns 1 after saying what to do.
install_or_unpack()
{
    local missing=("$@")
    if ! command -v apt-get > /dev/null || ! find_root; then
        unpack_packages "${missing[@]}" && return
        printf 'error: missing Debian packages (an administrator types: %s): %s\n' \
            "apt-get install --no-install-recommends ${missing[*]}" "${missing[*]}" >&2
        return 1
    fi
    step "installing ${#missing[@]} Debian packages (some minutes): ${missing[*]}"
    if ! quietly "$cache/apt.log" install_with_apt "${missing[@]}"; then
        printf 'error: apt-get could not install: %s (its output is above and in %s)\n' \
            "${missing[*]}" "$cache/apt.log" >&2
        return 1
    fi
}
