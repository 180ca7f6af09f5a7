#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# gradus and the newest PyTorch that this machine can install, in turns, on random shapes of seven families:
#
#   benchmarks/sweep.sh [--family convolution|pooling|product|norm|elementwise|optimizer|model] [--rows 40] [--seed 1]
#                       [--threads T] [--mode forward|step] [--isa avx2] [--turns 5] [--seconds 0.03]
#                       [--row "convolution 1 48 16 28 7 1 3 1"] [--against jax|tensorflow|another/build/sweep]
#                       [--out build/sweep] [--build build/bench-sweep]
#
# Prints a table for each family and writes it and sweep.csv, a line for each row, to build/sweep. GRADUS_TORCH may name
# the folder of a PyTorch wheel (site-packages/torch); else that of python3 is taken, or one is installed with pip into
# ${XDG_CACHE_HOME:-~/.cache}/gradus/torch, or Debian's libtorch. --against takes another peer: JAX or TensorFlow, for the
# steps of the MLP and the CNN on all processors, or another build of gradus. docs/benchmarks.md explains.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=build/sweep build=build/bench-sweep options=() against=
while (($#)); do
    case $1 in
    --family | --rows | --seed | --threads | --mode | --isa | --turns | --seconds | --row) options+=("$1" "${2?}") ;;
    --against) against=${2?} ;;
    --out) out=${2?} ;;
    --build) build=${2?} ;;
    *)
        sed -n '3,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
    esac
    shift 2
done

wheel_of() { # the folder of this python's PyTorch, unless that is of another age
    [[ -x $(command -v "$1") ]] || return 1
    "$1" -c 'import torch, os
assert int(torch.__version__.split(".")[0]) >= 2
print(os.path.dirname(torch.__file__))' 2>/dev/null
}

has() { # python package
    "$1" -c "import $2" 2>/dev/null
}

install_wheel() { # folder package
    echo "==> installing $2 with pip into $1" >&2
    bash cmake/install_packages.sh python3-venv >&2 && python3 -m venv "$1" >&2 && "$1/bin/pip" install -q "$2" >&2
}

targets=(sweep) torch= cache=${XDG_CACHE_HOME:-$HOME/.cache}/gradus
case $against in
jax | tensorflow)
    python=python3
    if ! has "$python" "$against"; then
        python=$cache/$against/bin/python
        has "$python" "$against" || install_wheel "$cache/$against" "$against"
    fi
    options+=(--row "model mlp" --row "model cnn" --mode step --threads "$(nproc)")
    against="$python benchmarks/peers/models.py $against"
    ;;
"")
    targets+=(libtorch_sweep)
    cached=$cache/torch
    torch=${GRADUS_TORCH-}
    [[ -n $torch ]] || torch=$(wheel_of python3 || wheel_of "$cached/bin/python" ||
        { install_wheel "$cached" torch && wheel_of "$cached/bin/python"; }) || torch=
    if [[ -z $torch ]]; then
        echo "==> no PyTorch could be installed: Debian's libtorch takes its place" >&2
        bash cmake/install_packages.sh libtorch-dev >&2
        core_type=Haswell # its OpenBLAS does not know newer processors, and would take far older kernels
        [[ " ${options[*]} " == *" --isa avx2 "* ]] || ! grep -q avx512f /proc/cpuinfo || core_type=SkylakeX
        options+=(--peer-setting OPENBLAS_CORETYPE=$core_type)
    fi
    ;;
esac
bash cmake/install_packages.sh g++ cmake ninja-build python3 >&2

echo "==> building" >&2
mkdir -p "$out"
if ! { cmake --preset bench -B "$build" --compile-no-warning-as-error -D GRADUS_TORCH="$torch" &&
    cmake --build "$build" --target "${targets[@]}"; } >"$out/build.log" 2>&1; then
    cat "$out/build.log" >&2
    exit 1
fi

python3 benchmarks/support/sweep.py "$build/benchmarks/sweep" "${against:-$build/benchmarks/libtorch_sweep}" "$out" \
    "${options[@]}" | tee "$out/sweep.txt"
