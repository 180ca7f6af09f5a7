#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Measures gradus beside libtorch, oneDNN, OpenBLAS, Eigen, dlib and tiny-dnn and beside the limits of this machine:
#
#   benchmarks/run.sh [--quick] [--publish] [--out folder] [--build folder]
#                     [--only steps,kernels,pairs,loading,epochs,compile]
#
# Installs the peers from Debian, builds, runs (about 20 minutes; --quick under 4) and writes results.json, table.md and
# chart.svg to build/benchmarks; --publish also puts the figures into README.md and docs/. Ends with an error if the
# libraries do not compute the same. docs/benchmarks.md explains.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=build/benchmarks build=build/bench options=() publish=()
while (($#)); do
    case $1 in
    --quick) options+=(--quick) ;;
    --publish) publish=(--publish) ;;
    --only) options+=(--only "$2") && shift ;;
    --out) out=$2 && shift ;;
    --build) build=$2 && shift ;;
    *)
        sed -n '3,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
    esac
    shift
done

bash cmake/install_packages.sh g++ cmake ninja-build python3 zlib1g-dev libeigen3-dev libbenchmark-dev libtorch-dev \
    libdnnl-dev libdlib-dev tiny-dnn libcereal-dev libstb-dev libgemmlowp-dev libopenblas0-pthread libopenblas0-openmp >&2
bash examples/get_data.sh fashion-mnist mnist >&2

echo "==> building" >&2
mkdir -p "$out"
if ! { cmake --preset bench -B "$build" --compile-no-warning-as-error && cmake --build "$build"; } >"$out/build.log" 2>&1; then
    cat "$out/build.log" >&2
    exit 1
fi

python3 benchmarks/support/suite.py "$build/benchmarks" "$out" "${options[@]}"
python3 benchmarks/support/report.py "$out" "${publish[@]}" && status=0 || status=$?
cat "$out/table.md"
echo "==> $out/results.json, table.md, chart.svg" >&2
exit "$status"
