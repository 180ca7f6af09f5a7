# Every file that a page names exists, and every link leads somewhere:
#
#   awk -f check_links.awk README.md CONTRIBUTING.md docs/*.md        (from the root of the project)
#
#   `kernels/gemm/gemm.hpp`       a file here, or in include/gradus/, whose ending is one of those below
#   [text](ops.md#headline)       a file beside the page, and a headline in it

BEGIN { named = "`[a-z_0-9.]+(/[a-z_0-9.-]+)+\\.(hpp|cpp|inc|py|sh|awk|cmake|md)`" }

function exists(path,    line, result) {
    if (!(path in found)) {
        found[path] = (getline line < path) > 0
        close(path)
    }
    return found[path]
}

# True if `path` has the headline that GitHub calls `anchor`.
function has_headline(path, anchor,    line, name, result) {
    while ((getline line < path) > 0) {
        if (line !~ /^#+ /) continue
        name = tolower(line)
        sub(/^#+ /, "", name)
        gsub(/[`.,:;?!()\/&+*"']|×|·|–/, "", name)
        gsub(/ /, "-", name)
        if (name == anchor) result = 1
    }
    close(path)
    return result
}

function broken(what) {
    print FILENAME ":" FNR ": " what
    errors = 1
}

FNR == 1 {
    folder = FILENAME
    if (!sub(/[^\/]*$/, "", folder)) folder = ""
    in_code = 0
}
/^```/ { in_code = !in_code }
in_code || /^<!--/ { next }

{
    text = $0
    while (match(text, named)) {
        path = substr(text, RSTART + 1, RLENGTH - 2)
        if (!exists(path) && !exists("include/gradus/" path) && !exists(folder path)) broken(path " does not exist")
        text = substr(text, RSTART + RLENGTH)
    }
    text = $0
    gsub(/`[^`]*`/, "", text)
    while (match(text, /\]\([^)]*\)/)) {
        path = anchor = substr(text, RSTART + 2, RLENGTH - 3)
        text = substr(text, RSTART + RLENGTH)
        if (path ~ /^https?:/) continue
        if (!sub(/^[^#]*#/, "", anchor)) anchor = ""
        sub(/#.*$/, "", path)
        path = path == "" ? FILENAME : folder path
        if (!exists(path)) broken("the link leads to " path ", which does not exist")
        else if (anchor != "" && !has_headline(path, anchor)) broken("there is no headline " anchor " in " path)
    }
}

END { exit errors }
