#!/usr/bin/env bash
# A program of several files with nothing but a compiler: one file holds the implementation, the others see declarations.
# Files that do not fit are an error of the linker that says so.
#     two_lines.sh g++ include
set -euo pipefail
export LC_ALL=C
compiler=$1
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
flags=(-std=c++20 -O0 -fopenmp -DGRADUS_NO_BUILD_NOTES -DGRADUS_COMPILED -I "$(realpath "$2")")
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
cd "$work"

printf '%s\n' '#define GRADUS_IMPLEMENTATION' '#include <gradus/gradus.hpp>' >gradus.cpp
"$compiler" "${flags[@]}" -c gradus.cpp
"$compiler" "${flags[@]}" -DWITH_PLUGIN -c "$tests/main.cpp"
"$compiler" "${flags[@]}" -c "$tests/plugin.cpp"
"$compiler" -fopenmp main.o plugin.o gradus.o -o program
./program
"$compiler" "${flags[@]}" -c "$tests/kit.cpp"
"$compiler" -fopenmp kit.o gradus.o -o kit
./kit
if nm --demangle --defined-only kit.o | grep "training::\(report_html\|read_checkpoint\|epoch_line\)("; then
    echo "is compiled again in every file" >&2
    exit 1
fi

# OBJECTS... -- WORDS: these do not link, and one line of what the linker says of them has the words.
refused() {
    local objects=()
    while [[ $1 != -- ]]; do objects+=("$1") && shift; done
    if "$compiler" -fopenmp "${objects[@]}" -o refused 2>said; then
        echo "linked, though it should not: ${objects[*]}" >&2
        return 1
    fi
    grep -q "$2" said || { echo "${objects[*]}: nothing says \"$2\" of:" >&2 && head -n 20 said >&2 && return 1; }
}

missing="undefined .*one_file_defines_GRADUS_IMPLEMENTATION::core"
refused main.o plugin.o -- "${missing}_without_zlib_with_openmp"
cp gradus.o once_more.o
refused main.o plugin.o gradus.o once_more.o -- "\(multiple definition\|duplicate symbol\).*one_file_defines_GRADUS_IMPLEMENTATION::core"
"$compiler" "${flags[@]}" -DGRADUS_WITH_ZLIB -c "$tests/plugin.cpp" -o other_flags.o
refused main.o other_flags.o gradus.o -- "${missing}_with_zlib_with_openmp"

# A list of compiled/ that is not there.
if "$compiler" "${flags[@]}" -DGRADUS_PART=all -fsyntax-only gradus.cpp 2>said; then
    echo "GRADUS_PART=all was not refused" >&2
    exit 1
fi
grep -q "gradus/compiled/all.inc.*\(No such file\|not found\)" said || { head -n 20 said >&2 && exit 1; }
