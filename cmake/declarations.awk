# The public declarations of headers, for the checks that compare them with a list:
#
#   awk -f declarations.awk -f check_catalog.awk FILES
#
# For everything declared at the left margin outside `namespace detail` this calls declared(text), which the check
# defines, with
#   text         the declaration on one line, without comments and default arguments, to its first { or ;
# and these variables:
#   scope        the namespaces around it within gradus, as "nn::init"
#   parameters   what stands between the brackets of its template<>, or nothing
#   name         of the function, class or concept; "" if it is something else
#   arguments    of the function, as "const Variable<T>&, int"; "none" if it is no function
#   head         what stands before the name
# It relies on the format of the headers: namespaces open and close at the left margin, the latter with a comment.

FNR == 1 {
    depth = 0
    pending = ""
}

/^namespace [a-z_:]* *\{/ { namespaces[++depth] = $2 }
/^}.*\/\/ namespace/ { --depth }

# Takes what is between `from` and its closing bracket off the front of `rest`, which starts with `from`.
function take_brackets(from, to,    i, open, c) {
    for (i = 1; i <= length(rest); ++i) {
        c = substr(rest, i, 1)
        if (c == from) ++open
        if (c == to && --open == 0) break
    }
    taken = substr(rest, 2, i - 2)
    rest = substr(rest, i + 1)
    return taken
}

# Where a declaration ends: at its first { or ; outside of round brackets; 0 if it goes on.
function end_of(text,    i, open, c) {
    for (i = 1; i <= length(text); ++i) {
        c = substr(text, i, 1)
        if (c == "(") ++open
        if (c == ")") --open
        if (!open && (c == "{" || c == ";")) return i
    }
    return 0
}

# "const Variable<T>& x, Index n = {1, 2}" -> "const Variable<T>&,Index"
function types_of(list,    i, c, open, item, types) {
    list = list ","
    for (i = 1; i <= length(list); ++i) {
        c = substr(list, i, 1)
        if (c ~ /[(<{]/) ++open
        if (c ~ /[)>}]/) --open
        if (c != "," || open) {
            item = item c
            continue
        }
        sub(/ = .*$/, "", item)
        gsub(/^ +| +$/, "", item)
        if (item !~ /^(const )?[A-Za-z_:]+$/) sub(/[ &*][a-z_0-9]+$/, "&@", item)    # a name at the end ...
        if (item ~ /@$/) sub(/[a-z_0-9]+@$/, "", item)
        gsub(/ *$/, "", item)
        types = types (types == "" ? "" : ", ") item
        item = ""
    }
    return types
}

function declaration(text,    i) {
    scope = parameters = name = head = ""
    arguments = "none"
    for (i = 1; i <= depth; ++i) {
        if (namespaces[i] ~ /(^|::)detail(::|$)/) return
        scope = scope (i > 1 ? "::" : "") namespaces[i]
    }
    sub(/^gradus(::)?/, "", scope)
    rest = text
    if (rest ~ /^template </) {
        sub(/^template /, "", rest)
        parameters = take_brackets("<", ">")
        sub(/^ +/, "", rest)
    }
    if (match(rest, /(^| )(struct|class|concept) [A-Za-z_0-9]+/)) {
        if (substr(rest, RSTART + RLENGTH) ~ /^(::|<)/ && FILENAME ~ /hpp$/) return  # a specialization
        head = substr(rest, 1, RSTART + RLENGTH - 1)
        name = head
        sub(/^.* /, "", name)
        sub(/ [^ ]*$/, "", head)
    } else if (rest ~ /\(/ && rest !~ /^(using|static_assert|friend)/) {
        head = name = substr(rest, 1, index(rest, "(") - 1)
        sub(/<[^()]*>$/, "", name)  # of an explicit instantiation
        if (match(name, /operator[^A-Za-z0-9]+$/)) name = substr(name, RSTART)
        else sub(/^.*[ >&*]/, "", name)
        sub(/[^ >&*]*$/, "", head)
        rest = substr(rest, index(rest, "("))
        arguments = types_of(take_brackets("(", ")"))
    }
    declared(text)
}

function read_line(line,    end) {
    sub(/ *\/\/.*$/, "", line)
    sub(/ +$/, "", line)
    if (pending == "" && (line !~ /^[A-Za-z[]/ || line ~ /^(namespace |public:|protected:|private:)/)) return
    sub(/^ +/, "", line)
    pending = pending (pending == "" ? "" : " ") line
    end = end_of(pending)
    if (!end) return
    declaration(substr(pending, 1, end))
    pending = ""
}

FILENAME ~ /\.(hpp|inc)$/ { read_line($0) }
