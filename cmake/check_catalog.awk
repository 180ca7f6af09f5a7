# Compares the functions on Variables with their catalog:
#
#   awk -f declarations.awk -f check_catalog.awk include/gradus/ops/*.hpp include/gradus/loss/*.hpp docs/ops.md
#
# Every public function that returns a Variable must be named in the page, as `name` or `name(...)`; every name in the
# first column of the page's tables must be a function of these headers.

function collect(text, places,    name) {
    while (match(text, /`[a-z_0-9]+[(<`]/)) {
        name = substr(text, RSTART + 1, RLENGTH - 2)
        if (!(name in places)) places[name] = FILENAME ":" FNR
        text = substr(text, RSTART + RLENGTH)
    }
}

function declared(text) {
    if (arguments == "none" || name == "") return
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
            print place[name] ": " name " is missing from the catalog"
            broken = 1
        }
    for (name in listed)
        if (!(name in known)) {
            print listed[name] ": " name " is no function of the headers"
            broken = 1
        }
    exit broken
}
