# Checks that a page shows a program whole and in order:
#
#   awk -f check_walkthrough.awk examples/linear_regression.cpp docs/first-steps.md
#
# The ```cpp blocks of the page, up to the heading "## Try it", are the lines of the program; indentation may differ.
# The page may leave out the head of the program, empty lines, `int main() {` and its end.

function fail(message) {
    print message > "/dev/stderr"
    failed = 1
    exit 1
}

function may_miss(line) { return line ~ /^(\/\/ (SPDX|Fits).*|int main\(\) \{|return .*|\}|)$/ }

{ sub(/^ +/, "") }

FILENAME ~ /\.cpp$/ {
    program[++count] = $0
    next
}

/^## Try it/ { over = 1 }
/^```/ {
    in_block = !over && /^```cpp/
    next
}
in_block && NF {
    for (++at; at <= count && program[at] != $0; ++at)
        if (!may_miss(program[at])) fail(FILENAME ":" FNR ": the program goes on differently: " program[at])
    if (at > count) fail(FILENAME ":" FNR ": not a line of the program, or not in this place")
}

END {
    if (failed) exit 1
    for (++at; at <= count; ++at)
        if (!may_miss(program[at])) fail("not on the page: " program[at])
}
