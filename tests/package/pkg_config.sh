#!/usr/bin/env bash
# A program is built with what pkg-config says of an installed gradus, also when its prefix was moved:
#     pkg_config.sh g++ PREFIX VERSION
set -euo pipefail
command -v pkg-config >/dev/null || exit 77  # ctest: skipped
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
cp -r "$2" "$work/moved"
export PKG_CONFIG_PATH=$work/moved/share/pkgconfig
pkg-config --exact-version="$3" gradus
read -ra flags <<<"$(pkg-config --cflags --libs gradus)"
[[ " ${flags[*]} " == *"-I$work/moved/"* ]] || { echo "not the moved headers: ${flags[*]}" >&2; exit 1; }
"$1" -std=c++20 "$(dirname "$0")/main.cpp" "${flags[@]}" -o "$work/consumer"
"$work/consumer"
