# Shows that figures.awk takes figures from the tables and refuses those that are in none:
#   cmake -DWORK_DIR=build -P cmake/check_figures_test.cmake
cmake_minimum_required(VERSION 3.22)

set(tree ${WORK_DIR}/figures)
file(WRITE ${tree}/docs/benchmarks.md "<!-- figures: written by a script -->

A processor, 2 threads. Ratios above 1 are gradus's gain.

### Compile time

| program | seconds | peer / gradus |
|---|---|---|
| gradus, all | 5.82 |  |
| libtorch 1.13 | 15.01 | **2.58** (2.5 to 2.6) ▼ |

<!-- end of figures -->
")

function(check text expected)
    file(WRITE ${tree}/README.md "${text}\n")
    file(REMOVE ${tree}/new)
    execute_process(COMMAND awk -f ${CMAKE_CURRENT_LIST_DIR}/figures.awk docs/benchmarks.md README.md
        WORKING_DIRECTORY ${tree} OUTPUT_VARIABLE output ERROR_VARIABLE error)
    string(STRIP "${error}${output}" output)
    string(FIND "${output}" "${expected}" position)
    if(position EQUAL -1)
        message(FATAL_ERROR "expected '${expected}', got '${output}'")
    endif()
endfunction()

check("<!-- figure: Compile time → gradus, all → seconds -->7.3<!-- --> s" "seconds -->5.82<!-- --> s")
check("<!-- figure: Compile time → libtorch* → peer / gradus -->0<!-- -->" "gradus -->2.58<!-- -->")
check("<!-- figure: Compile time → libtorch* → peer / gradus in brackets -->0<!-- -->" "brackets -->2.5 to 2.6<!-- -->")
check("<!-- figure: machine --><!-- -->" "machine -->A processor, 2 threads<!-- -->")
check("<!-- figures: Compile time → seconds -->\n| it | s |\n|---|---|\n| gradus, all | ? |" "| gradus, all | 5.82 |")
check("<!-- figure: Compile time → dlib → seconds -->1<!-- -->"
    "README.md:1: no table has the figure Compile time → dlib → seconds")
check("It takes 7.3 s." "README.md:1: a figure without a table: 7.3 s")
message(STATUS "every wrong figure was found")
