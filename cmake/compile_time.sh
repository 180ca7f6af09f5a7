#!/usr/bin/env bash
# Prints how long users wait for the compiler, and fails where it is a quarter over the budget:  compile_time.sh g++
# Programs are compiled with -O2; of the headers, each included alone, only the syntax is checked.
# The budgets hold for a machine that compiles five standard headers in 0.31 s; a slower one, or one that is busy, is
# given more in proportion.
set -euo pipefail
export LC_ALL=C TIMEFORMAT=%U

compiler=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT

export compiler root

user_seconds() {  # source; the compiler's own messages go to the terminal
    { time "$compiler" -O2 -std=c++20 -fopenmp -I "$root/include" -c "$1" -o /dev/null 2>&3; } 3>&2 2>&1
}

header_seconds() {  # header
    { time "$compiler" -fsyntax-only -std=c++20 -fopenmp -I "$root/include" -include "$1" -x c++ /dev/null 2>&3; } 3>&2 2>&1
}
export -f header_seconds

fastest_of_3() {  # user_seconds or header_seconds, of what
    local round
    for round in 1 2 3; do "$1" "$2" || return; done | sort -n | head -n 1
}

within() {  # budget, what, how to measure it, source or header
    local seconds
    seconds=$(fastest_of_3 "$3" "$4") || return
    awk -v budget="$1" -v what="$2" -v seconds="$seconds" -v standard="$standard" 'BEGIN {
        slower = standard > 0.31 ? standard / 0.31 : 1
        printf "compile time: %-28s %5.2f s user (budget %.1f s", what, seconds, budget
        if (slower > 1) printf ", on this machine %.1f s", budget * slower
        print ")"
        exit seconds > 1.25 * budget * slower
    }'
}

printf '#include <%s>\n' algorithm atomic cmath string vector >"$work/standard.cpp"
standard=$(fastest_of_3 user_seconds "$work/standard.cpp")
echo '#include <gradus/gradus.hpp>' >"$work/include.cpp"
cd "$root"
program=$(awk -v out="$work" -f cmake/doc_snippets.awk README.md | awk '$1 == "program" { print $2; exit }')

status=0
within 1.5 "bare include" user_seconds "$work/include.cpp" || status=1
within 5.0 "README program" user_seconds "$work/$program.cpp" || status=1

# Two at a time each takes longer than alone, so the slowest are measured again before they count.
cd "$root/include"
find gradus -name '*.hpp' -print0 |
    xargs -0 -P 2 -I {} bash -c 'set -e; seconds=$(header_seconds {}); echo "$seconds {}"' >"$work/headers" || exit
sort -rn "$work/headers" | head -n 10 >"$work/slowest"
while read -r _ header; do
    within "$(if [[ $header == */interop/* ]]; then echo 2.0; else echo 1.0; fi)" "$header" header_seconds "$header" || status=1
done <"$work/slowest"
exit $status
