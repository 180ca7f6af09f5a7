#!/usr/bin/env bash
# Builds and runs all tests, from a fresh checkout on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash cmake/install_packages.sh g++ cmake ninja-build zlib1g-dev libpng-dev libeigen3-dev libcli11-dev catch2
bash examples/get_data.sh fashion-mnist mnist

echo "==> building"
cmake --preset release
cmake --build --preset release

echo "==> testing"
ctest --preset release

echo "==> measuring compile time"  # last, with the machine to itself
bash cmake/compile_time.sh g++ build/release
