#!/usr/bin/env bash
# Compares the trainer built with plain -O2 and with -march=native: the fastest epoch of each, in turn.
#   benchmarks/native.sh [rounds=4]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

rounds=${1:-4}
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
flags=(-std=c++20 -O2 -fopenmp -DGRADUS_WITH_ZLIB -I include -I examples examples/fashion_mnist.cpp -lz)
g++ "${flags[@]}" -o "$work/plain"
g++ -march=native "${flags[@]}" -o "$work/native"

fastest_epoch() {
    "$1" --epochs 4 | awk -F 'Epoch Time:' 'NF > 1 { if (!best || $2 + 0 < best) best = $2 + 0 } END { print best }'
}

for ((round = 1; round <= rounds; round++)); do
    plain=$(fastest_epoch "$work/plain")
    native=$(fastest_epoch "$work/native")
    awk -v p="$plain" -v n="$native" 'BEGIN { printf "plain -O2 %.3f s, -march=native %.3f s, ratio %.3f\n", p, n, p / n }'
done
