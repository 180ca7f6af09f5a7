# Turns the ```cpp blocks of one Markdown file into sources that can be compiled.
#
#   awk -v out=DIR -f doc_snippets.awk docs/ops.md
#
# A block with `int main` becomes a program of its own. All other blocks of the file become one source of Catch2 tests:
# definitions (struct, template, function, ...) move to a namespace, statements to a test case. #line directives
# make the compiler name the place in the Markdown file. Comments right before a block steer what happens to it:
#
#   <!-- with: CODE -->      adds a hidden line at the front (may be repeated)
#   <!-- then: CODE -->      adds a hidden line at the end, such as a CHECK of what the text claims (may be repeated)
#   <!-- continues -->       the block goes on in the scope of the block before
#   <!-- no-compile -->      the block is an illustration
#   <!-- run: ARGS -->       the program is run with these arguments
#   <!-- compile-only -->    the program is not run
#
# Prints what was made, one a line (NAME stands for DIR/NAME.cpp): "program NAME run [ARGS]", "program NAME
# compile-only" or "tests NAME".

function fail(message) {
    print FILENAME ":" FNR ": " message > "/dev/stderr"
    failed = 1
    exit 1
}

function line_directive(number) { return "#line " number " \"" FILENAME "\"\n" }

function forget_markers() {
    with = then = mode = run_arguments = ""
    continues = pending = 0
}

# Definitions start at the left margin with one of these words, or are functions whose signature fits on a line.
function starts_definition(line) {
    if (line ~ /^(template|struct|class|enum|union|concept|inline|static|using|namespace)[ <]/) return 1
    if (line ~ /^(if|for|while|switch|return|else|do|try|auto [a-z_]+ =)/) return 0
    return line ~ /^[A-Za-z_][A-Za-z0-9_:<>,&* ]*[ &*][A-Za-z_][A-Za-z0-9_]*\(.*\) (const )?\{/
}

function ends_definition(line) {
    sub(/[ \t]*\/\/.*$/, "", line)
    return line ~ /^[^ \t].*[;}]$/ || line ~ /^[;}]/
}

function add_line(line, number) {
    if (line ~ /^#include/) {
        if (index(includes, line "\n") == 0) includes = includes line "\n"
    } else if (in_definition || starts_definition(line)) {
        if (number != last_definition + 1) definitions = definitions line_directive(number)
        definitions = definitions line "\n"
        last_definition = number
        in_definition = !ends_definition(line)
    } else {
        if (number != last_statement + 1) statements = statements line_directive(number)
        statements = statements line "\n"
        last_statement = number
    }
}

# Lines of a block have numbers that rise by `step` = 1; hidden lines all count as the line they stand at (0).
function add_lines(text, number, step,    lines, count, i) {
    count = split(text, lines, "\n")
    for (i = 1; i < count; ++i) add_line(lines[i], number + step * (i - 1))
    return number + step * (count - 2)
}

function finish_scope() {
    if (scope_line == 0) return
    body = body "\nnamespace " stem "_" scope_line " {\n" definitions
    if (statements != "") {
        body = body line_directive(scope_line) "TEST_CASE(\"" FILENAME ":" scope_line "\") {\n" statements "}\n"
    }
    body = body "}  // namespace " stem "_" scope_line "\n"
    definitions = statements = ""
    scope_line = last_definition = last_statement = 0
}

function finish_program(    name, path) {
    name = stem "_" block_line
    path = out "/" name ".cpp"
    printf "%s%s%s%s", with, line_directive(block_line), block, then > path
    close(path)
    print "program " name " " (mode == "compile-only" ? mode : "run" run_arguments)
}

function finish_block(    end) {
    if (mode == "no-compile") return
    if (block ~ /(^|\n)int main/) {
        finish_program()
        return
    }
    if (continues && scope_line == 0) fail("there is no block that this one could continue")
    if (!continues) {
        finish_scope()
        scope_line = block_line
    }
    add_lines(with, block_line, 0)
    end = add_lines(block, block_line, 1)
    if (in_definition) fail("a definition in this block does not end at the left margin")
    add_lines(then, end, 0)
}

FNR == 1 {
    stem = FILENAME
    sub(/\.md$/, "", stem)
    gsub(/[^A-Za-z0-9]/, "_", stem)
    forget_markers()
}

in_block && /^```/ {
    in_block = 0
    if (is_cpp) finish_block()
    forget_markers()
    next
}
in_block {
    block = block $0 "\n"
    next
}
/^```/ {
    in_block = 1
    is_cpp = /^```cpp/
    if (pending && !is_cpp) fail("a marker must stand before a cpp block")
    block = ""
    block_line = FNR + 1
    next
}
/^[ \t]+```cpp/ { fail("start code blocks at the left margin, or they are not checked") }

/^<!-- (with|then|run): .* -->$/ {
    text = $0
    sub(/^<!-- [a-z]+: /, "", text)
    sub(/ -->$/, "", text)
    if ($2 == "with:") with = with text "\n"
    if ($2 == "then:") then = then text "\n"
    if ($2 == "run:") run_arguments = " " text
    pending = 1
    next
}
/^<!-- continues -->$/ { continues = pending = 1; next }
/^<!-- (no-compile|compile-only) -->$/ { mode = $2; pending = 1; next }
pending && NF { fail("a marker must stand right before a cpp block") }

END {
    if (failed) exit 1
    if (in_block) fail("the last code block has no end")
    finish_scope()
    if (body == "") exit
    path = out "/" stem ".cpp"
    print "#include <gradus/gradus.hpp>\n" includes "\n#include \"support/test.hpp\"\n" > path
    print "using namespace gradus;" > path
    print "namespace nn = gradus::nn;\nnamespace optim = gradus::optim;\nnamespace data = gradus::data;" > path
    printf "%s", body > path
    print "tests " stem
}
