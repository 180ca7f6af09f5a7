#!/usr/bin/env bash
# Builds and runs the tests, from a fresh checkout on. With GRADUS_CI=full in the environment, all of them; the last line
# says what was left out without it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash cmake/install_packages.sh g++ cmake ninja-build zlib1g-dev libpng-dev libeigen3-dev libcli11-dev catch2 \
    openmpi-bin libopenmpi-dev mpich libmpich-dev
bash examples/get_data.sh fashion-mnist mnist

full=OFF
[[ ${GRADUS_CI-} != full ]] || full=ON

echo "==> building"
cmake --preset release -DGRADUS_FULL_TESTS=$full
cmake --build --preset release

echo "==> testing"
ctest --preset release --label-exclude package
ctest --preset release --label-regex package --parallel "$(nproc)"  # compilers; the others use all processors

echo "==> measuring compile time"  # last, with the machine to itself
bash cmake/compile_time.sh g++ build/release

[[ $full == ON ]] || echo "==> left out without GRADUS_CI=full: every header alone, and how long it takes to compile;" \
    "programs with -O0, -ffast-math, and -flto with -static; whether docs/flags.md names a test for each line"
