# Shows that check_links.awk finds files and headlines, and names what it does not find:
#   cmake -DWORK_DIR=build -P cmake/check_links_test.cmake
cmake_minimum_required(VERSION 3.22)

set(tree ${WORK_DIR}/links)
file(WRITE ${tree}/include/gradus/core/tensor.hpp "\n")
file(WRITE ${tree}/docs/ops.md "# Operations\n\n## ops/pool2d.hpp: 3 × 3\n")

function(check text expected)
    file(WRITE ${tree}/docs/page.md "${text}\n")
    execute_process(COMMAND awk -f ${CMAKE_CURRENT_LIST_DIR}/check_links.awk docs/page.md
        WORKING_DIRECTORY ${tree} OUTPUT_VARIABLE output ERROR_VARIABLE output)
    string(STRIP "${output}" output)
    if(NOT output STREQUAL expected)
        message(FATAL_ERROR "'${text}': expected '${expected}', got '${output}'")
    endif()
endfunction()

check("`core/tensor.hpp`, [all](ops.md), [pooling](ops.md#opspool2dhpp-3--3), [elsewhere](https://example.org/x.md)" "")
check("```cpp\nf([](int n) { return n; });\n```\n`[](int n) {}`" "")
check("`core/matrix.hpp`" "docs/page.md:1: core/matrix.hpp does not exist")
check("first\n[gone](gone.md)" "docs/page.md:2: the link leads to docs/gone.md, which does not exist")
check("[sums](ops.md#sums)" "docs/page.md:1: there is no headline sums in docs/ops.md")
message(STATUS "every broken link was found")
