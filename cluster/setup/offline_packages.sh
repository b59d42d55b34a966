# shellcheck shell=bash disable=SC2034,SC2154 # variables cross files
# Debian packages for a machine without network: downloaded on one that has it, with everything they need but the C and
# C++ runtimes and tools to build with, which the other machine has and which must be its own.

# What is named never_unpacked stays out as well.
own_tools='^(cmake|ninja-build|ccache|make|perl|perl-.*|python3.*|gcc.*|g\+\+.*|cpp.*|gfortran.*|binutils.*|dpkg.*|tar|passwd|adduser|debconf.*|autoconf|automake|autotools-dev|m4|openssh-.*|catch2|debianutils|rpcsvc-proto)$'
own_libraries='^(libc6.*|libc-dev.*|linux-libc-dev|libgcc.*|libstdc\+\+.*|libgomp1|lib[alt]san.*|libubsan.*|libitm1|libcc1.*|libisl.*|libmp[cf]r?[0-9].*|libctf.*|libbinutils|libgprofng.*|libgfortran-.*|libperl.*|libjs-.*|libpam.*|libsemanage.*|libsepol.*|libselinux.*|libaudit.*|libcap-ng.*|libdb5.*|libgdbm.*|libfido2.*|libcbor.*|libedit2|libcrypt.*)$'
# Views of GPUs and X servers for hwloc, and what they alone need; sources of googletest.
not_needed='^(libhwloc-plugins|libxnvctrl0|ocl-icd-.*|libxml2|libicu.*|libx11-.*|libxext6|libxcb1|libxau6|libxdmcp6|libbsd0|libmd0|googletest)$'
offline_limit_mib=40

# offline_names: what a build with tests needs that a machine to build on may lack.
offline_names()
{
    local name
    for name in "${build_packages[@]}" "${test_packages[@]}"; do
        [[ " ${never_unpacked[*]} " == *" $name "* || $name =~ $own_tools ]] || printf '%s\n' "$name"
    done
}

# with_needs NAME...: them and all that they need, one a line, as if nothing were installed.
with_needs()
{
    : > "$unpacked/nothing-installed"
    own apt-get -o Dir::State::status="$unpacked/nothing-installed" --simulate --no-install-recommends install "$@" \
        | awk '$1 == "Inst" { print $2 }' | grep -Ev "$own_tools|$own_libraries|$not_needed"
}

# fetch_offline_packages FOLDER: fills it with .deb files.
fetch_offline_packages()
{
    local folder=$1 wanted needed size_mib
    command -v apt-get > /dev/null || fail "packages are fetched with apt-get, which this machine has not."
    mkdir -p -- "$folder" "$unpacked/lists/partial" "$unpacked/archives/partial"
    folder=$(cd -- "$folder" && pwd -P)
    compgen -G "$folder/*.deb" > /dev/null && fail "$folder already holds packages (empty it, or name another folder)."
    quietly "$unpacked/apt.log" own apt-get update || fail "apt-get could not read its lists (see above)."
    mapfile -t wanted < <(offline_names)
    mapfile -t needed < <(with_needs "${wanted[@]}")
    ((${#needed[@]} >= ${#wanted[@]})) || fail "apt-get does not know all of: ${wanted[*]}"
    step "downloading ${#needed[@]} packages into $folder"
    cd -- "$folder" || return
    quietly "$unpacked/apt.log" own apt-get download "${needed[@]}" || fail "the download failed (see above)."
    size_mib=$(du -cb -- *.deb | awk 'END { printf "%.1f", $1 / 1048576 }')
    say "${#needed[@]} packages, $size_mib MiB"
    awk -v size="$size_mib" -v limit="$offline_limit_mib" 'BEGIN { exit size > limit }' \
        || fail "that is more than $offline_limit_mib MiB."
}

# unpack_offline_packages FOLDER: below $unpacked, made usable by $unpacked/environment.sh.
unpack_offline_packages()
{
    rm -rf -- "$unpacked"
    mkdir -p -- "$unpacked/root" && ln -s -- "$1" "$unpacked/archives" && unpack_archives && settle_unpacked_files \
        && link_lacking_libraries && write_environment && quieten_mpicc
}

# CMake asks mpicc for its flags and takes what it says about a missing network as one.
quieten_mpicc()
{
    local mpicc=$unpacked/root/usr/bin/mpicc
    rm -f -- "$mpicc"
    printf '#!/bin/sh\nexec mpicc.openmpi "$@" 2> /dev/null\n' > "$mpicc" && chmod +x -- "$mpicc"
}

# Programs of this machine must go on with its own libraries: of the unpacked ones only those are offered to the loader
# that it lacks.
link_lacking_libraries()
{
    local library name
    mkdir -p -- "$unpacked/lacking"
    while read -r library; do
        name=${library##*/}
        ldconfig -p | awk -v name="$name" '$1 == name { found = 1 } END { exit !found }' \
            || ln -sfn -- "$library" "$unpacked/lacking/$name" || return
    done < <(find "$unpacked/root/usr/lib" "$unpacked/root/lib" -name 'lib*.so.*' 2> /dev/null)
}

use_offline_packages()
{
    local before=${LD_LIBRARY_PATH:-}
    # shellcheck disable=SC1091 # written by write_environment
    source "$unpacked/environment.sh"
    export LD_LIBRARY_PATH=$unpacked/lacking${before:+:$before}
}
