#!/usr/bin/env bash
# Prints how long users wait for the compiler, and fails if it is half as long again as the budget (machines differ by
# that much):  compile_time.sh g++
set -euo pipefail
export LC_ALL=C TIMEFORMAT=%U

compiler=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT

user_seconds() {  # source; the compiler's own messages go to the terminal
    { time "$compiler" -O2 -std=c++20 -fopenmp -I "$root/include" -c "$1" -o /dev/null 2>&3; } 3>&2 2>&1
}

within() {  # budget, what, source
    local first second
    first=$(user_seconds "$3") || return
    second=$(user_seconds "$3") || return
    awk -v budget="$1" -v what="$2" -v first="$first" -v second="$second" 'BEGIN {
        seconds = first < second ? first : second
        printf "compile time: %-16s %5.2f s user (budget %.1f s)\n", what, seconds, budget
        exit seconds > 1.5 * budget
    }'
}

echo '#include <gradus/gradus.hpp>' >"$work/include.cpp"
cd "$root"
program=$(awk -v out="$work" -f cmake/doc_snippets.awk README.md | awk '$1 == "program" { print $2; exit }')

status=0
within 1.5 "bare include" "$work/include.cpp" || status=1
within 5.0 "README program" "$work/$program.cpp" || status=1
exit $status
