#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Times the same work on gradus and on libtorch and prints a table in Markdown:  compare.sh [rounds] [seconds]
# Short processes take turns, since a shared machine changes its speed within a minute. libtorch runs with
# every setting that may be its best. Ends with an error if the two do not compute the same losses.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-5} seconds=${2:-0.3}
bin=build/bench/benchmarks out=build/bench/compare

cmake/install_packages.sh g++ cmake ninja-build python3 libbenchmark-dev libtorch-dev libopenblas0-pthread \
    libopenblas0-openmp
mkdir -p "$out"
rm -f "$out"/*
build() {
    cmake --preset bench --compile-no-warning-as-error &&
        cmake --build --preset bench --target ceilings mlp_step op_overhead libtorch_mlp
}
if ! build >"$out/build.log" 2>&1; then
    cat "$out/build.log" >&2
    exit 1
fi

threads=$(nproc)
read -r load _ </proc/loadavg
if awk "BEGIN { exit !($load > 0.5) }"; then
    echo "==> this machine is busy (load $load): trust the ratios more than the times" >&2
fi
supports() { grep -qw "$1" /proc/cpuinfo; }

modes=(1)  # the number of threads, and whether they sleep while they wait
((threads == 1)) || modes+=("$threads" "$threads passive")

# OpenBLAS knows the processors of its time only: on a newer one it may choose kernels that are far too old.
core_types=(auto)
! supports avx512f || core_types+=(SkylakeX)
! supports avx2 || core_types+=(Haswell)

# Debian has OpenBLAS on OpenMP, and with threads of its own, which compete with OpenMP's for processors.
blas=(/usr/lib/*/openblas-openmp /usr/lib/*/openblas-pthread)

# shellcheck disable=SC2317  # called by way of record
in_mode() {  # in_mode "THREADS [passive]" COMMAND...
    local count waiting policy=()
    read -r count waiting <<<"$1"
    [[ -z $waiting ]] || policy=(OMP_WAIT_POLICY=passive)
    shift
    env OMP_NUM_THREADS="$count" OPENBLAS_NUM_THREADS="$count" "${policy[@]}" "$@"
}

runs=0
record() {  # record ROUND SIDE SETTING COMMAND...: keeps the output, and in index.tsv what it belongs to
    local file=$((++runs)).json
    printf '%s\t%s\t%s\t%s\n' "$file" "$1" "$2" "$3" >>"$out/index.tsv"
    "${@:4}" >"$out/$file" 2>>"$out/errors.log"
}

gradus_turn() {  # gradus_turn ROUND MODE
    local options=(--benchmark_format=json "--benchmark_min_time=$seconds")
    record "$1" gradus "threads $2" in_mode "$2" "$bin/mlp_step" "${options[@]}" \
        "--benchmark_filter=^mlp_step/threads:${2% *}/"
    record "$1" gradus "threads $2" in_mode "$2" "$bin/op_overhead" "${options[@]}" \
        "--benchmark_filter=^chain/"
}

libtorch_turn() {  # libtorch_turn ROUND MODE CORE_TYPE BLAS_FOLDER
    local core=()
    [[ $3 == auto ]] || core=(OPENBLAS_CORETYPE="$3")
    record "$1" libtorch "threads $2, ${4##*/} $3" in_mode "$2" env LD_LIBRARY_PATH="$4" "${core[@]}" \
        "$bin/libtorch_mlp" "$seconds" "${2% *}"
}

for ((round = 1; round <= rounds; ++round)); do
    echo "==> round $round of $rounds" >&2
    record "$round" machine limits "$bin/ceilings" --benchmark_format=json --benchmark_min_time=0.05
    turn=0
    for folder in "${blas[@]}"; do
        for core_type in "${core_types[@]}"; do
            for mode in "${modes[@]}"; do
                [[ $folder == *pthread && $mode == 1 ]] && continue  # as with the other build
                gradus_turn "$round" "${modes[turn++ % ${#modes[@]}]}"
                libtorch_turn "$round" "$mode" "$core_type" "$folder"
            done
        done
    done
done

python3 benchmarks/support/compare_table.py "$out" >"$out/table.md" && status=0 || status=$?
cat "$out/table.md"
echo "==> $out/table.md, $out/summary.json" >&2
exit "$status"
