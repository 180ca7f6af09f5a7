#!/usr/bin/env bash
# Prints how long users wait for the compiler, and fails where it is a quarter over the budget:
#     compile_time.sh g++ build/release
# With GRADUS_FULL_TESTS, the build of headers_alone there has measured all headers; the slowest are measured again.
# Programs are compiled with -O2; of the headers, each included alone, only the syntax is checked.
# The budgets hold for a machine that compiles five standard headers in 0.31 s; a slower one, or one that is busy, is
# given more in proportion.
set -euo pipefail
export LC_ALL=C TIMEFORMAT=%U

compiler=$1
build=$(realpath "$2")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT

user_seconds() {  # source, flags; the compiler's own messages go to the terminal
    { time "$compiler" -O2 -std=c++20 -fopenmp -I "$root/include" "${@:2}" -c "$1" -o /dev/null 2>&3; } 3>&2 2>&1
}

compiled_seconds() { user_seconds "$1" -DGRADUS_COMPILED; }  # with the target gradus::compiled

header_seconds() {  # header
    { time "$compiler" -O2 -fsyntax-only -std=c++20 -fopenmp -I "$root/include" -include "$1" -x c++ /dev/null 2>&3; } 3>&2 2>&1
}

fastest() {  # one of these, of what, rounds
    local round
    for ((round = 1; round <= $3; round++)); do "$1" "$2" || return; done | sort -n | head -n 1
}

within() {  # budget, what, how to measure it, source or header, rounds
    local seconds
    seconds=$(fastest "$3" "$4" "$5") || return
    awk -v budget="$1" -v what="$2" -v seconds="$seconds" -v standard="$standard" 'BEGIN {
        slower = standard > 0.31 ? standard / 0.31 : 1
        printf "compile time: %-32s %5.2f s user (budget %.1f s", what, seconds, budget
        if (slower > 1) printf ", on this machine %.1f s", budget * slower
        print ")"
        exit seconds > 1.25 * budget * slower
    }'
}

printf '#include <%s>\n' algorithm atomic cmath string vector >"$work/standard.cpp"
standard=$(fastest user_seconds "$work/standard.cpp" 3)
echo '#include <gradus/gradus.hpp>' >"$work/include.cpp"
cd "$root"
program=$(awk -v out="$work" -f cmake/doc_snippets.awk README.md | awk '$1 == "program" { print $2; exit }')

status=0
within 1.5 "bare include" user_seconds "$work/include.cpp" 3 || status=1
within 5.0 "README program" user_seconds "$work/$program.cpp" 3 || status=1
within 2.0 "README program, gradus::compiled" compiled_seconds "$work/$program.cpp" 3 || status=1

# Without that, the headers that have most in them. Built two at a time, each takes longer than alone. interop/ and the
# umbrellas are for those who ask for it; headers that were renamed leave their times behind.
slowest=(gradus/gradus.hpp gradus/training/fit.hpp gradus/training/checkpoint.hpp)
alone=$build/tests/CMakeFiles/headers_alone.dir/alone
if [[ -d $alone/gradus ]]; then
    cd "$alone"
    grep -r --include='*.seconds' . gradus | grep -Ev '^gradus/(interop/|(data|io|training)[.]hpp)' | sed 's/\(.*\)\.cpp\.o\.seconds:\(.*\)/\2 \1/' >"$work/headers"
    cd "$root/include"
    mapfile -t slowest < <(sort -rn "$work/headers" | cut -d ' ' -f 2 | xargs ls -U 2>/dev/null | head -n 10)
fi
for header in "${slowest[@]}"; do
    within 1.2 "$header" header_seconds "$header" 2 || status=1
done
exit $status
