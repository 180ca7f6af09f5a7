# Prints a page with its figures as the tables of the benchmarks have them:
#
#   awk -f figures.awk docs/benchmarks.md README.md        prints README.md
#
# A figure in prose is written
#
#   it takes <!-- figure: Compile time → README program → user seconds -->5.82<!-- --> s
#
# with the headline of the table, the first column of the row (or its beginning and a *), and the head of the column. Of a
# cell "**4.24** (3.75 to 9.79)" that is 4.24; with " in brackets" behind the column it is "3.75 to 9.79", with " in full"
# both. A table of such figures, whose rows begin as the other's, has its columns in a comment right before it:
#
#   <!-- figures: Training steps → gradus, ms → libtorch / gradus in full -->
#
# "<!-- figure: machine -->" is the line that names the processor and the load.
#
# The tables are those between the markers in docs/benchmarks.md. In README.md, a number of seconds or megabytes that is
# no figure of a table is an error: who wrote it?

function fail(message) {
    print FILENAME ":" FNR ": " message > "/dev/stderr"
    failed = 1
}

function trim(text) {
    gsub(/^ +| +$/, "", text)
    return text
}

FNR == 1 { ++file_number }

file_number == 1 && /^<!-- figures: written by/ { in_tables = 1 }
file_number == 1 && /^<!-- end of figures/ { in_tables = 0 }
file_number == 1 && in_tables && /Ratios above 1 are/ {
    machine = $0
    sub(/\. Ratios above 1 are.*/, "", machine)
}
file_number == 1 && in_tables && /^### / {
    headline = substr($0, 5)
    in_rows = 0
}
file_number == 1 && in_tables && /^\|/ && !/^\|[-| ]*$/ {
    count = split($0, cells, "|")
    if (!in_rows) {
        for (i = 2; i < count; ++i) heads[i] = trim(cells[i])
        in_rows = 1
        next
    }
    row = trim(cells[2])
    rows[headline] = rows[headline] row "\n"
    for (i = 3; i < count; ++i) cell[headline, row, heads[i]] = trim(cells[i])
}
file_number == 1 { next }

function figure_of(where,    parts, column, form, names, count, i, text) {
    if (where == "machine") return machine
    split(where, parts, " → ")
    column = parts[3]
    if (sub(/ in brackets$/, "", column)) form = "brackets"
    if (sub(/ in full$/, "", column)) form = "full"
    if (sub(/\*$/, "", parts[2])) {
        count = split(rows[parts[1]], names, "\n")
        for (i = 1; i <= count; ++i)
            if (index(names[i], parts[2]) == 1) {
                parts[2] = names[i]
                break
            }
    }
    if (!((parts[1], parts[2], column) in cell)) {
        fail("no table has the figure " where)
        return ""
    }
    text = cell[parts[1], parts[2], column]
    if (form == "full") return text
    gsub(/\*\*| ▼/, "", text)
    if (form == "brackets") {
        sub(/^[^(]*\(/, "", text)
        sub(/\).*$/, "", text)
    } else sub(/ *\(.*$/, "", text)
    return text
}

/^```/ { in_code = !in_code }

/^<!-- figures: .* → .* -->$/ {
    columns = split(substr($0, 15, length($0) - 18), column, " → ")
    in_table = 1
}
in_table && !/^(\||<!-- figures)/ { in_table = 0 }
in_table && /^\|/ && ++row_number > 2 {
    split($0, cells, "|")
    line = "| " trim(cells[2])
    for (i = 2; i <= columns; ++i) line = line " | " figure_of(column[1] " → " trim(cells[2]) " → " column[i])
    print line " |"
    next
}
!in_table { row_number = 0 }

{
    rest = $0
    line = plain = ""
    while (match(rest, /<!-- figure: [^>]* -->/)) {
        where = substr(rest, RSTART + 13, RLENGTH - 17)
        head = substr(rest, 1, RSTART - 1)
        opening = substr(rest, RSTART, RLENGTH)
        rest = substr(rest, RSTART + RLENGTH)
        end = index(rest, "<!-- -->")
        if (!end) {
            fail("the figure " where " does not end with <!-- --> on its line")
            break
        }
        line = line head opening figure_of(where) "<!-- -->"
        plain = plain head
        rest = substr(rest, end + 8)
    }
    print line rest
    plain = plain rest
    if (FILENAME ~ /README/ && !in_code && match(plain, /[0-9][0-9.]* ?(s|ms|µs|MB|GB|seconds)([^a-zA-Z0-9]|$)/))
        fail("a figure without a table: " substr(plain, RSTART, RLENGTH))
}

END { exit failed }
