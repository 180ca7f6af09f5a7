#!/usr/bin/env bash
# Compiles the library for other processors, systems and compilers, and runs it there where an emulator can be had:
#     cmake/platforms.sh           the jobs that take about a minute each, or less
#     cmake/platforms.sh --all     all of them
#     cmake/platforms.sh JOB...    those
# As many run at a time as there are processors; what a job prints appears when it ends. A job that needs what this
# machine cannot give (a package of Debian or Ubuntu, mostly) is skipped, by name. The last lines say what was done, what
# was left out, and how long it took.
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
works=$(mktemp --directory)
trap 'rm -rf "$works"' EXIT

quick=(newer_clang aarch64 i686 windows)
long=(aarch64_units armhf emscripten oldest_cmake thread_sanitizer)

warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast -Wnon-virtual-dtor
    -Woverloaded-virtual -Wdouble-promotion -Wcast-align -Wundef -Wdeprecated)
flags=(-std=c++20 -O1 "${warnings[@]}" -Werror -DGRADUS_NO_BUILD_NOTES -I include)
smoke=tests/platforms/smoke.cpp

skip() {
    echo "skipped: $1"
    exit 77
}
packages() { # installs them, or skips the job
    bash cmake/install_packages.sh "$@" || skip "needs the packages $*"
}
needs() { # a command
    command -v "$1" >/dev/null || skip "needs $1"
}
run() { # in a folder for files: a program, perhaps with its emulator in front
    mkdir -p "$work/run"
    (cd "$work/run" && timeout 300 "$@")
}

job_newer_clang() { # the warnings of clang 19, with both standard libraries, and what g++ finds if asked for more
    packages clang-19 libc++-19-dev
    needs clang++-19
    # What gradus::compiled holds, so that templates are looked at as well.
    printf '%s\n' '#define GRADUS_IMPLEMENTATION' '#include <gradus/gradus.hpp>' >"$work/everything.cpp"
    # libomp-19-dev cannot be installed beside the libomp-dev of clang 14; the header of either will do.
    local omp library
    omp=$(find /usr/lib/llvm-* -name omp.h 2>/dev/null | head -n 1)
    for library in libstdc++ libc++; do
        clang++-19 "${flags[@]}" -stdlib=$library ${omp:+-fopenmp -idirafter "$(dirname "$omp")"} -fsyntax-only \
            "$work/everything.cpp" "$smoke"
    done
    g++ "${flags[@]}" -fopenmp -Wuseless-cast -fsyntax-only "$work/everything.cpp" "$smoke"
}

job_aarch64() {
    packages g++-aarch64-linux-gnu qemu-user
    needs aarch64-linux-gnu-g++
    needs qemu-aarch64
    aarch64-linux-gnu-g++ "${flags[@]}" -fopenmp "$smoke" -o "$work/aarch64"
    run qemu-aarch64 -L /usr/aarch64-linux-gnu "$work/aarch64"
}

job_aarch64_units() { # unit tests of each of the lower layers
    packages g++-aarch64-linux-gnu qemu-user catch2
    needs aarch64-linux-gnu-g++
    needs qemu-aarch64
    [[ -e /usr/include/catch2/catch.hpp ]] || skip "needs Catch2 2, which is a header"
    mkdir -p "$work/include"
    ln -s /usr/include/catch2 "$work/include/"
    printf '#define CATCH_CONFIG_MAIN\n#include <catch2/catch.hpp>\n' >"$work/main.cpp"
    aarch64-linux-gnu-g++ -std=c++20 -O1 -fopenmp -DGRADUS_NO_BUILD_NOTES -I include -I tests -I "$work/include" \
        tests/core/{bfloat16,random,shape,tensor}.cpp tests/kernels/{elementwise/arithmetic,gemm/gemm,reduce/reduce}.cpp tests/kernels/simd/*.cpp \
        tests/autograd/{backward,variable}.cpp tests/ops/{layout,slice,reduce}.cpp tests/support/op_table.cpp \
        "$work/main.cpp" -o "$work/aarch64_units"
    run qemu-aarch64 -L /usr/aarch64-linux-gnu "$work/aarch64_units"
}

job_i686() {
    packages g++-i686-linux-gnu
    needs i686-linux-gnu-g++
    i686-linux-gnu-g++ "${flags[@]}" -fopenmp "$smoke" -o "$work/i686"
    if [[ $(uname -m) == x86_64 ]]; then
        run /usr/i686-linux-gnu/lib/ld-linux.so.2 --library-path /usr/i686-linux-gnu/lib "$work/i686"
    else
        packages qemu-user
        OMP_THREAD_LIMIT=1 run qemu-i386 -L /usr/i686-linux-gnu "$work/i686" # it can hang with more threads
    fi
}

job_armhf() {
    packages g++-arm-linux-gnueabihf qemu-user
    needs arm-linux-gnueabihf-g++
    needs qemu-arm
    arm-linux-gnueabihf-g++ "${flags[@]}" -Wno-psabi -mfpu=neon -fopenmp "$smoke" -o "$work/armhf"
    run qemu-arm -L /usr/arm-linux-gnueabihf "$work/armhf"
}

job_windows() { # runs where wine can be had
    packages g++-mingw-w64-x86-64-posix
    needs x86_64-w64-mingw32-g++-posix
    x86_64-w64-mingw32-g++-posix "${flags[@]}" -fopenmp "$smoke" -static -o "$work/smoke.exe"
    local wine=/usr/lib/wine/wine64
    bash cmake/install_packages.sh wine64 || true
    [[ -x $wine ]] || { echo "compiled; not run, for there is no $wine"; return; }
    export WINEPREFIX=$work/wine WINEDEBUG=-all
    run $wine "$work/smoke.exe"
    /usr/lib/wine/wineserver -w  # until it has written what it keeps
}

job_emscripten() {
    packages emscripten
    needs em++
    needs node
    # Its own cache may belong to root.
    em++ "${flags[@]}" -msimd128 -fexceptions -s ALLOW_MEMORY_GROWTH=1 -s EXIT_RUNTIME=1 -s SINGLE_FILE=1 "$smoke" \
        -o "$work/smoke.js"
    run node "$work/smoke.js"
}

job_oldest_cmake() { # 3.22 reads the presets, and what it installs can be found
    needs python3
    python3 -m venv "$work/venv" && "$work/venv/bin/pip" -q install 'cmake==3.22.*' || skip "needs CMake 3.22 from PyPI"
    local cmake=$work/venv/bin/cmake
    $cmake --version
    $cmake --preset dev -B "$work/dev" >"$work/log" || { cat "$work/log"; return 1; }
    $cmake -S . -B "$work/build" -DGRADUS_BUILD_TESTS=OFF -DGRADUS_BUILD_EXAMPLES=OFF
    $cmake --install "$work/build" --prefix "$work/prefix" >/dev/null
    $cmake -S tests/package/library -B "$work/library" -DGRADUS_DIR="$root" -DCMAKE_INSTALL_PREFIX="$work/library_prefix"
    $cmake --build "$work/library" --target install >/dev/null
    $cmake -S tests/package -B "$work/consumer" -DWAY=through_library -DCMAKE_PREFIX_PATH="$work/library_prefix"
    $cmake --build "$work/consumer"
    "$work/consumer/consumer"
}

job_thread_sanitizer() {
    packages clang libomp-dev
    needs clang++
    local archer
    archer=$(dirname "$(clang++ -print-file-name=libomp.so)")/libarcher.so
    [[ -e $archer ]] || skip "needs libarcher.so, a part of libomp"
    clang++ -std=c++20 -O1 -g1 -fopenmp -fsanitize=thread -I include "$smoke" -o "$work/thread_sanitizer"
    OMP_TOOL_LIBRARIES=$archer TSAN_OPTIONS=ignore_noninstrumented_modules=1 run "$work/thread_sanitizer"
}

case ${1-} in
    "") chosen=("${quick[@]}") left_out=("${long[@]}") ;;
    --all) chosen=("${quick[@]}" "${long[@]}") left_out=() ;;
    *) chosen=("$@") left_out=() ;;
esac
for job in "${chosen[@]}"; do
    declare -F "job_$job" >/dev/null || { echo "no such job: $job (there are ${quick[*]} ${long[*]})" >&2; exit 2; }
done

start() { # a job in a folder of its own, in which its log, its status and its seconds are left
    local job=$1
    work=$works/$job SECONDS=0
    mkdir "$work"
    set +e # a job stops at its first error, which it would not do as a part of a condition
    (set -e; "job_$job") >"$work/log" 2>&1
    echo "$? $SECONDS" >"$work/status"
    cat <(echo "==> platform $job") "$work/log"
}
for job in "${chosen[@]}"; do
    while (($(jobs -rp | wc -l) >= $(nproc))); do wait -n; done
    start "$job" &
done
wait

failed=0
for job in "${chosen[@]}"; do
    read -r status seconds <"$works/$job/status"
    case $status in
        0) outcome=ok ;;
        77) outcome=skipped ;;
        *) outcome=FAILED failed=1 ;;
    esac
    printf '==> platform %-17s %-8s %4d s\n' "$job" $outcome "$seconds"
done
((${#left_out[@]} == 0)) || echo "==> left out without --all: ${left_out[*]}"
exit $failed
