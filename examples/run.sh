#!/usr/bin/env bash
# Trains on Fashion-MNIST, from a fresh checkout on:  examples/run.sh [options of fashion_mnist]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# catch2 because this shares its build directory with the tests, which are configured (not built) along with it.
bash "$root/cmake/install_packages.sh" g++ cmake ninja-build zlib1g-dev libeigen3-dev libcli11-dev catch2

echo "==> building"
(cd "$root" && cmake --preset release >/dev/null &&
    cmake --build --preset release --target fashion_mnist)
bash "$root/examples/get_data.sh" fashion-mnist

echo "==> running fashion_mnist $*"
exec "$root/build/release/examples/fashion_mnist" "$@"
