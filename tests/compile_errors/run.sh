#!/usr/bin/env bash
# Compiles the programs of a table and compares what the compiler says:
#     run.sh g++ include tests/compile_errors/*.txt
# Programs stand in a table one after another; their sections open with "## <what is wrong>". Lines before the code say
#     <compiler>: <words>   that the first five lines of its output hold the words, outside of what they repeat of the
#                           program; the compiler is g++, clang++ or both; there may be several
#     compiles              that nothing is said
#     flags: <flags>        what it is compiled with beside -std=c++20
#     alone                 that the program is complete; others are the body of a function, after a line --- if there
#                           is something in front of that function
set -euo pipefail
export LC_ALL=C
readonly lines=5

compiler=$1 include=$(realpath "$2")
shift 2
kind=g++
"$compiler" --version | grep -qi clang && kind=clang++
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
common=(-fsyntax-only -DGRADUS_NO_BUILD_NOTES -I "$include")

# What the programs include is compiled once for all of them. g++ looks for it in the folder of the program first, and an
# error is reported as it would be with the headers themselves.
printf '#include <%s>\n' array functional iostream memory sstream string unordered_map vector gradus/gradus.hpp >"$work/all.hpp"
if [[ $kind == g++ ]]; then
    "$compiler" -std=c++20 -w -DGRADUS_NO_BUILD_NOTES -I "$include" -x c++-header "$work/all.hpp" -o "$work/all.hpp.gch"
    once=()
else
    "$compiler" -std=c++20 -w -DGRADUS_NO_BUILD_NOTES -I "$include" -x c++-header "$work/all.hpp" -o "$work/all.pch"
    once=(-include-pch "$work/all.pch")
fi

# Sections into files: N.title, N.wants, N.flags, N.cpp.
awk -v work="$work" -v kind="$kind" '
function close_section() {
    if (!count) return
    program = work "/" count ".cpp"
    if (alone) printf "%s", body > program
    else {
        print "#include \"all.hpp\"\n" \
              "namespace nn = gradus::nn;\nnamespace optim = gradus::optim;\nnamespace data = gradus::data;\n" \
              "using namespace gradus;\n" \
              "struct Net {\n    nn::Linear<> fc{2, 2};\n" \
              "    Variable<> operator()(Variable<> x) const { return fc(x); }\n};" > program
        printf "%s", front > program
        print "void program(Net&, Tensor<>&, Variable<>&, Tensor<Index>&, data::Dataset<>&, Variable<>&);\n" \
              "void program([[maybe_unused]] Net& net, [[maybe_unused]] Tensor<>& x, [[maybe_unused]] Variable<>& v,\n" \
              "             [[maybe_unused]] Tensor<Index>& labels, [[maybe_unused]] data::Dataset<>& points,\n" \
              "             [[maybe_unused]] Variable<>& loss) {" > program
        printf "%s", body > program
        print "}" > program
    }
    close(program)
    print title > (work "/" count ".title")
    printf "%s", wants > (work "/" count ".wants")
    print flags > (work "/" count ".flags")
}
/^## / {
    close_section()
    count++
    title = substr($0, 4)
    header = 1
    alone = 0
    front = body = wants = flags = ""
    next
}
!count || /^# / { next }
header && /^(g\+\+|clang\+\+|both): / {
    who = $1; sub(/:$/, "", who)
    if (who == "both" || who == kind) wants = wants "say " substr($0, length($1) + 2) "\n"
    next
}
header && /^compiles$/ { wants = wants "nothing\n"; next }
header && /^flags: / { flags = substr($0, 8); next }
header && /^alone$/ { alone = 1; next }
header && /^$/ { next }
/^---$/ { front = body; body = ""; next }
{ header = 0; body = body $0 "\n" }
END { close_section() }' "$@"

compile() { # N: what is said goes to N.said, the exit status to N.status
    local name=$1 flags how=("${once[@]}" -std=c++20) status=0
    read -ra flags < "$name.flags" || true
    [[ ${#flags[@]} -gt 0 && ${flags[*]} != -W* ]] && how=()
    "$compiler" "${common[@]}" "${how[@]}" "${flags[@]}" "$name.cpp" > "$name.said" 2>&1 || status=$?
    echo $status > "$name.status"
}

names=()
for program in "$work"/[0-9]*.cpp; do
    [[ ! -s ${program%.cpp}.wants ]] || names+=("${program%.cpp}")
done
for name in "${names[@]}"; do
    while (($(jobs -rp | wc -l) >= $(nproc))); do wait -n; done
    compile "$name" &
done
wait

failures=0
for name in "${names[@]}"; do
    # g++ repeats the program behind a number and a bar; clang++ as it is.
    head -n $lines "$name.said" | grep -vE '^ +[0-9]* *\|' | grep -vxFf "$name.cpp" > "$name.first" || true
    while read -r verb words; do
        if [[ $verb == nothing ]]; then
            [[ $(< "$name.status") == 0 && ! -s $name.said ]] && continue
            words="nothing at all"
        else
            grep -qF -- "$words" "$name.first" && continue
        fi
        failures=$((failures + 1))
        echo "$(< "$name.title"): $kind does not say: $words"
        head -n $lines "$name.said" | cut -c 1-300 | sed 's/^/    /'
    done < "$name.wants"
done
echo "$kind: ${#names[@]} programs, $failures failures"
((${#names[@]} > 0 && failures == 0))
