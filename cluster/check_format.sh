#!/usr/bin/env bash
# Checks (or, with --fix, applies) the layout of .clang-format on every C++ file of the repository.
set -euo pipefail
# shellcheck source=cluster/setup/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup/common.sh"

case ${1:-} in
    '') action=(--dry-run -Werror) ;;
    --fix) action=(-i) ;;
    *)
        say "usage: cluster/check_format.sh [--fix]   (needs clang-format 14)"
        [[ $1 == -h || $1 == --help ]] && exit
        exit 1
        ;;
esac

formatter=
for candidate in clang-format-14 clang-format; do
    if [[ $("$candidate" --version 2> /dev/null) == *'version 14.'* ]]; then
        formatter=$candidate
        break
    fi
done
[[ -n $formatter ]] || fail "clang-format 14 was not found (other versions lay out differently)." \
    "On Debian: apt-get install clang-format-14"

# New files count as well as tracked ones. The clone may belong to another user (containers).
cd -- "$twinscreen_root"
mapfile -d '' -t files < <(git -c safe.directory="$twinscreen_root" ls-files -z \
    --cached --others --exclude-standard -- '*.cpp' '*.hpp' '*.cu' '*.cuh')
existing=()
for file in "${files[@]}"; do
    if [[ -f $file ]]; then existing+=("$file"); fi
done
((${#existing[@]} > 0)) || fail "git lists no C++ files in $twinscreen_root"

if ! printf '%s\0' "${existing[@]}" | xargs -0 -n 16 -P "$(nproc)" "$formatter" "${action[@]}"; then
    fail "some files are not laid out as .clang-format says; 'cluster/check_format.sh --fix' does it"
fi
say "clang-format: ${#existing[@]} files are fine"
