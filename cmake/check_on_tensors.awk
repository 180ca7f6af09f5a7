# Every operation takes tensors as well:
#
#   awk -f check_on_tensors.awk include/gradus/ops/*.hpp
#
# Every free function outside `namespace detail` that returns variables, in any of these headers, must be a function
# of on_tensors.hpp, which is one of them. The same for include/gradus/loss/*.hpp.

FNR == 1 { in_detail = 0 }
/^namespace (gradus::)?detail/ { in_detail = 1 }
/^}.*namespace (gradus::)?detail/ { in_detail = 0 }

# Functions stand at the left margin, behind their constraints; what comes before their first bracket ends in the name.
!in_detail && /^[A-Za-z].*[ >&*][a-z_0-9]+\(/ {
    if (/^(using|struct|class|friend|static_assert)/) next
    head = name = $0
    sub(/^requires.*(> |\) )/, "", name)
    if (match(name, /[a-z_0-9]+\([A-Za-z]/)) name = substr(name, RSTART, RLENGTH)
    sub(/\(.*/, "", name)
    sub(/^.*[ >&*]/, "", name)
    if (FILENAME ~ /on_tensors\.hpp$/)
        on_tensors[name] = 1
    else if (head ~ /Variable</ && substr(head, 1, index(head, name "(")) ~ /Variable</ && !(name in place))
        place[name] = FILENAME ":" FNR
}

END {
    for (name in place)
        if (!(name in on_tensors)) {
            print place[name] ": " name " does not take tensors: its line in on_tensors.hpp is missing"
            broken = 1
        }
    exit broken
}
