# Compares the functions on Variables with their catalogue:
#
#   awk -f check_catalogue.awk include/gradus/ops/*.hpp include/gradus/loss/*.hpp docs/ops.md
#
# Every free function outside `namespace detail` that returns a Variable must be named in the page, as `name` or
# `name(...)`; every name in the first column of the page's tables must be a function of these headers.

function collect(text, places,    name) {
    while (match(text, /`[a-z_0-9]+[(<`]/)) {
        name = substr(text, RSTART + 1, RLENGTH - 2)
        if (!(name in places)) places[name] = FILENAME ":" FNR
        text = substr(text, RSTART + RLENGTH)
    }
}

FNR == 1 { in_detail = 0 }
/^namespace (gradus::)?detail/ { in_detail = 1 }
/^}.*namespace (gradus::)?detail/ { in_detail = 0 }

# Functions stand at the left margin; what comes before their first bracket ends in the name.
FILENAME ~ /\.hpp$/ && !in_detail && /^[A-Za-z[].*[ >&*][a-z_0-9]+\(/ {
    if (/^(using|struct|class|friend|static_assert|requires)/) next
    head = name = substr($0, 1, index($0, "(") - 1)
    sub(/^.*[ >&*]/, "", name)
    known[name] = 1
    if (head ~ /Variable</ && !(name in place)) place[name] = FILENAME ":" FNR
}

FILENAME ~ /\.md$/ { collect($0, mentioned) }
FILENAME ~ /\.md$/ && /^\|/ {
    split($0, cells, "|")
    collect(cells[2], listed)
}

END {
    for (name in place)
        if (!(name in mentioned)) {
            print place[name] ": " name " is missing from the catalogue"
            broken = 1
        }
    for (name in listed)
        if (!(name in known)) {
            print listed[name] ": " name " is no function of the headers"
            broken = 1
        }
    exit broken
}
