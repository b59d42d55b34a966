# shellcheck shell=bash disable=SC2034,SC2154 # variables cross files
# Debian packages of an ordinary user: unpacked in the cache folder, found through the environment.

unpacked=$cache/debian

# A compiler finds its own files only where it was installed; a machine to build on has these.
never_unpacked=(g++ git ca-certificates python3 python3-venv)

# own PROGRAM ARGUMENT...: apt-get or apt-cache with lists, archives and locks of our own.
own()
{
    local program=$1
    shift
    DEBIAN_FRONTEND=noninteractive "$program" -q -o Dpkg::Use-Pty=0 -o Debug::NoLocking=1 -o APT::Sandbox::User= \
        -o Dir::State::Lists="$unpacked/lists" -o Dir::Cache="$unpacked" -o Dir::Cache::Archives=archives "$@"
}

# libraries_of NAME...: what the packages need directly, one a line. Unpacked ones refer to it by relative paths, so it
# is unpacked beside them even where the machine has it; but not the C library.
libraries_of()
{
    own apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$@" \
        | awk '$1 == "Depends:" && $2 ~ /^(lib|openmpi)/ && $2 !~ /^(libc6|libc-dev|libc6-dev|libgcc|libstdc)/ { print $2 }' \
        | sort -u
}

download_packages()
{
    local libraries
    mkdir -p -- "$unpacked/lists/partial" "$unpacked/archives/partial"
    own apt-get update || return
    mapfile -t libraries < <(libraries_of "$@")
    own apt-get -y install --download-only --reinstall --no-install-recommends "$@" "${libraries[@]}"
}

unpack_archives()
{
    local archive
    for archive in "$unpacked"/archives/*.deb; do
        dpkg-deb --extract "$archive" "$unpacked/root" || return
    done
}

# What the packages' own scripts would do as root: names without the make of MPI, and paths from the root.
settle_unpacked_files()
{
    local root=$unpacked/root name file
    for name in mpicc mpicxx mpirun mpiexec; do
        [[ ! -e $root/usr/bin/$name.openmpi ]] || ln -sfn "$name.openmpi" "$root/usr/bin/$name" || return
    done
    while read -r file; do
        grep -q "$root" "$file" || sed -i "s|=/usr|=$root/usr|; s|-\([IL]\)/usr|-\1$root/usr|g" "$file" || return
    done < <(find "$root/usr" -path '*/pkgconfig/*.pc' -type f)
}

# folders_of FOLDER... FIND-EXPRESSION: joined by colons.
folders_of() { find "$@" -printf '%h\n' 2> /dev/null | sort -u | paste -sd:; }

# A program's plugins are not libraries to link with: their folders hold nothing that starts with lib.
write_environment()
{
    local root=$unpacked/root
    {
        echo "# The packages that twinscreen's scripts unpacked here. Source this to use them by hand, and in job scripts."
        echo "export TWINSCREEN_PACKAGES=$root"
        [[ ! -e $root/usr/bin/orterun ]] || echo "export OPAL_PREFIX=$root/usr"
        add_folders PATH "$root/usr/bin:$root/usr/sbin"
        add_folders LD_LIBRARY_PATH "$(folders_of "$root/usr/lib" "$root/lib" -name 'lib*.so*')"
        add_folders CMAKE_PREFIX_PATH "$root/usr"
        add_folders PKG_CONFIG_PATH "$(folders_of "$root/usr" -path '*/pkgconfig/*.pc')"
    } > "$unpacked/environment.sh.new" && mv -f -- "$unpacked/environment.sh.new" "$unpacked/environment.sh"
}

# add_folders VARIABLE FOLDERS: the line that puts them before its value, once.
add_folders()
{
    # shellcheck disable=SC2016 # for whoever sources it
    [[ -z $2 ]] || printf '[[ :${%s:-}: == *:%s:* ]] || export %s=%s${%s:+:$%s}\n' "$1" "$2" "$1" "$2" "$1" "$1"
}

# unpack_packages NAME...: with all that they need and this machine lacks. Returns 1 if that cannot be done; the next
# attempt begins anew.
unpack_packages()
{
    local name
    for name in "$@"; do
        [[ " ${never_unpacked[*]} " != *" $name "* ]] || return 1
    done
    command -v apt-get > /dev/null && command -v dpkg-deb > /dev/null || return 1
    if [[ ! $unpacked =~ ^[A-Za-z0-9_./+-]+$ ]]; then
        warn "$unpacked: packages cannot be unpacked below a folder with such a name (set XDG_CACHE_HOME)"
        return 1
    fi
    step "unpacking $# Debian packages and what they need below $unpacked (no root here; some minutes): $*"
    mkdir -p -- "$unpacked/root" "$unpacked/names" || return
    quietly "$unpacked/apt.log" download_packages "$@" || return
    quietly "$unpacked/unpack.log" unpack_archives || return
    settle_unpacked_files && write_environment || return
    rm -f -- "$unpacked"/archives/*.deb
    for name in "$@"; do : > "$unpacked/names/$name" || return; done
}

use_unpacked_packages()
{
    # shellcheck disable=SC1091 # written by write_environment
    [[ ! -f $unpacked/environment.sh ]] || source "$unpacked/environment.sh"
}
