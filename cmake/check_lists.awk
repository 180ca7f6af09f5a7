# Compares the public functions and classes with the lists that they have to be in:
#
#   awk -f declarations.awk -f check_lists.awk include/gradus/{core,ops,...}/*.hpp include/gradus/compiled/*.inc
#
# compiled/*.inc      every template over the type of numbers T (and that of labels, Label) alone, as float (and Index):
#                     what is not there is compiled again in every file of a project that links gradus::compiled.
#                     Overloads are told apart by their arguments. Of a class that adds constructors alone to a base, the
#                     base is enough.
# on_tensors.hpp      every function of ops/ and loss/ that returns a Variable takes tensors as well
# remedies.hpp        every function with options, in a folder that has such a file, says which option there is not
#
# What can be in no list of the first kind: templates over functions, models, schedules and types that are deduced. What
# could, and would save nothing:
BEGIN {
    spared["on_tensors.hpp"]  # one line each: they call the function of the same name
    spared["dual.hpp"]        # numbers, inlined where they are used
    spared["reflect.hpp"]     # over fields of any type
    spared["rule.hpp"]        # inlined into the loops of optimizers
    # Structs of fields, without functions of their own, as are all options.
    split("JvpResult HvpResult NamedParameter nn::NamedBuffer data::Batch data::Split optim::ParameterState", names, " ")
    for (i in names) fields_alone[names[i]]

    no_remedy["conv2d_algorithms"]  # its other arguments are lists, too: a call would be ambiguous
    no_remedy["load_options"]       # what it takes, saved_options() made
}

# `word` as a word of `text` becomes `by`.
function replace_word(text, word, by,    done) {
    text = " " text " "
    while (match(text, "[^A-Za-z_0-9]" word "[^A-Za-z_0-9]")) {
        done = done substr(text, 1, RSTART) by
        text = substr(text, RSTART + RLENGTH - 1)
    }
    text = done text
    return substr(text, 2, length(text) - 2)
}

# The type as the compiler sees it: T is float, type_identity_t<X> is X, what is written `X<>` is X<float>.
function resolved(text,    inner) {
    text = replace_word(replace_word(text, "T", "float"), "Label", "Index")
    gsub(/<>/, "<float>", text)
    while (match(text, /std::type_identity_t<[^<>]*(<[^<>]*>)?>/)) {
        inner = substr(text, RSTART + 21, RLENGTH - 22)
        text = substr(text, 1, RSTART - 1) inner substr(text, RSTART + RLENGTH)
    }
    return text
}

function is_over_numbers(    list) {
    list = parameters
    sub(/^class T( = [a-z]*)?/, "", list)
    sub(/^, class Label( = [A-Za-z]*)?/, "", list)
    return parameters != "" && list == ""
}

# "include/gradus/ops/exp.hpp" -> "ops/exp.hpp"
function short_name(    parts, count) {
    count = split(FILENAME, parts, "/")
    return parts[count - 1] "/" parts[count]
}

FNR == 1 { files[short_name()] = 1 }

function place() { return FILENAME ":" FNR ": " }

function declared(text,    folder, file, signature, prefix, full_name) {
    if (name == "" || head == "") return           # head: of constructors
    if (name ~ /::/ && FILENAME ~ /hpp$/) return  # a member, defined outside of its class
    folder = file = short_name()
    sub(/\/.*$/, "", folder)
    sub(/^.*\//, "", file)
    prefix = scope == "" ? "" : scope "::"
    full_name = prefix name

    if (FILENAME ~ /\.inc$/) {
        if (arguments != "none") listed[full_name "(" resolved(arguments) ")"]
        else if (match(text, name "<.*>")) listed[prefix substr(text, RSTART, RLENGTH)]
        return
    }
    in_file[folder "/" file " " name]
    if (file == "remedies.hpp" || text ~ /= delete;$/ || head ~ /(concept|enum)$/) return

    if (is_over_numbers() && !(file in spared) && !(full_name in fields_alone) && name !~ /Options$/ &&
        arguments !~ /Dual</) {
        if (arguments != "none") signature = full_name "(" resolved(arguments) ")"
        else signature = full_name (parameters ~ /Label/ ? "<float, Index>" : "<float>")
        if (!(signature in compiled)) compiled[signature] = place()
        if (match(text, / : public .* \{$/)) base[signature] = prefix resolved(substr(text, RSTART + 10, RLENGTH - 12))
    }
    if (folder ~ /^(ops|loss)$/ && file != "on_tensors.hpp" && head ~ /Variable</ && arguments ~ /Variable</)
        on_tensors[folder "/on_tensors.hpp " name] = place() full_name
    if (arguments ~ /[a-z0-9]Options(<[^<>]*>)?&?$/ && !(name in no_remedy))
        remedies[folder "/remedies.hpp " name] = place() full_name
}

function missing(where, from) {
    print where " is missing from " from
    broken = 1
}

END {
    for (signature in compiled)
        if (!(signature in listed) && !(base[signature] in listed)) missing(compiled[signature] signature, "compiled/*.inc")
    for (entry in on_tensors)
        if (!(entry in in_file)) missing(on_tensors[entry], substr(entry, 1, index(entry, " ") - 1))
    for (entry in remedies) {
        file = substr(entry, 1, index(entry, " ") - 1)
        if (file in files && !(entry in in_file)) missing(remedies[entry], file)
    }
    exit broken
}
