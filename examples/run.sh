#!/usr/bin/env bash
# Builds and runs an example, from a fresh checkout on:  examples/run.sh [example] [its options]
#
#   examples/run.sh                     trains on Fashion-MNIST (the example fashion_mnist)
#   examples/run.sh mnist --epochs 2
#   examples/run.sh multilabel --help
#   examples/run.sh fashion_mnist --optimizer adam --out runs/adam    keeps checkpoints, history and a report there
#   examples/run.sh mnist --ranks 4                                   in four processes, with MPI: the same weights as in one
#   examples/run.sh speedrun mnist --seeds 30                         99 % as soon as possible
#   examples/run.sh compare runs/sgd runs/adam                        lays runs side by side: compare.html
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

example=fashion_mnist
if (($#)) && [[ $1 != -* ]]; then
    example=$1
    shift
fi
if [[ $example == speedrun && $# -gt 0 ]]; then
    example=speedrun_$1
    shift
fi
launch=() packages=()
for ((i = 1; i < $#; ++i)); do
    [[ ${!i} == --ranks ]] || continue
    next=$((i + 1))
    ranks=${!next}
    [[ $ranks =~ ^[1-9][0-9]*$ ]] || { echo "==> --ranks: needs a number of processes: got $ranks" >&2; exit 2; }
    [[ $example == mnist ]] || { echo "==> --ranks: of the examples, mnist trains in several processes" >&2; exit 2; }
    set -- "${@:1:i-1}" "${@:i+2}"
    [[ " $* " == *" --shards "* ]] || set -- "$@" --shards 4  # so that 1, 2 and 4 give the same weights
    # Open MPI gives each process a terminal of its own, whatever the output of all of them is.
    [[ -t 1 || " $* " == *" --progress "* ]] || set -- "$@" --progress plain
    packages=(openmpi-bin libopenmpi-dev)
    launch=(bash "$root/examples/support/launch.sh" "$ranks")
    break
done
if [[ ! -f $root/examples/$example.cpp ]]; then
    echo "==> there is no example $example; there are: $(cd "$root/examples" && echo *.cpp | sed 's/\.cpp//g')" >&2
    exit 2
fi

# catch2 because this shares its build directory with the tests, which are configured (not built) along with it.
bash "$root/cmake/install_packages.sh" g++ cmake ninja-build zlib1g-dev libpng-dev libeigen3-dev libcli11-dev catch2 \
    ${packages[@]+"${packages[@]}"}

echo "==> building"
(cd "$root" && cmake --preset release >/dev/null &&
    cmake --build --preset release --target "$example")
case $example in
linear_regression | compare) ;;
mnist | speedrun_mnist) bash "$root/examples/get_data.sh" mnist ;;
tabular*) bash "$root/examples/get_data.sh" diamonds ;;
*) bash "$root/examples/get_data.sh" fashion-mnist ;;
esac

echo "==> running $example $*"
# A training leaves its report somewhere even if nobody said where.
case "$example $*" in
linear_regression* | compare* | optimizers* | speedrun* | tabular_predict* | *--help* | *" -h"* | *--out* | *--notebook-shape*) out= ;;
*)
    for ((n = 1; ; ++n)); do
        out=$root/build/runs/$example-$n
        [[ -e $out ]] || break
    done
    set -- "$@" --out "$out"
    ;;
esac

code=0
${launch[@]+"${launch[@]}"} "$root/build/release/examples/$example" "$@" || code=$?
[[ ! -f $out/report.html ]] || echo "==> the report: ${out#"$root/"}/report.html"
exit $code
