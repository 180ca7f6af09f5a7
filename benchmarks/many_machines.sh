#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What training on many machines costs and gains: a model of a step, checked on this machine's processes.
#
#   benchmarks/many_machines.sh [--quick] [--publish] [--models mlp,cnn,resnet18] [--rounds 5] [--global-batch 8192]
#                               [--network "10 GbE:30:9.4"]... [--node-speed 1] [--from results.json]
#                               [--out build/many-machines] [--build build/bench]
#
# Measures messages, the parts of a step and steps of 1, 2 and 4 processes (--quick: fewer rounds), predicts those steps,
# and prints what the model says of 16 to 4096 nodes. A network is its name, latency in µs and Gbit/s that a
# program gets; a node is as fast as this machine times --node-speed. Writes results.json, table.md and chart.svg;
# --publish puts them into docs/scaling.md and docs/many-machines-speedup.svg. --from makes the tables again from
# figures that are there. docs/scaling.md explains.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=build/many-machines build=build/bench options=() from=
while (($#)); do
    case $1 in
    --quick | --publish) options+=("$1") ;;
    --models | --rounds | --global-batch | --network | --node-speed) options+=("$1" "${2?}") && shift ;;
    --from) from=${2?} && shift ;;
    --out) out=${2?} && shift ;;
    --build) build=${2?} && shift ;;
    *)
        sed -n '3,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
    esac
    shift
done
mkdir -p "$out"

if [[ -n $from ]]; then
    options+=(--from "$from")
else
    bash cmake/install_packages.sh g++ cmake ninja-build python3 >&2
    command -v mpirun >/dev/null || bash cmake/install_packages.sh libopenmpi-dev openmpi-bin >&2
    echo "==> building" >&2
    if ! { cmake --preset bench -B "$build" --compile-no-warning-as-error &&
        cmake --build "$build" --target many_machines; } >"$out/build.log" 2>&1; then
        cat "$out/build.log" >&2
        exit 1
    fi
    mpirun=$(sed -n 's/^MPIEXEC_EXECUTABLE:[A-Z]*=//p' "$build/CMakeCache.txt") # of the MPI that was built with
    options+=(--mpirun "$mpirun" --program "$build/benchmarks/many_machines")
fi
python3 benchmarks/support/many_machines.py "$out" "${options[@]}"
