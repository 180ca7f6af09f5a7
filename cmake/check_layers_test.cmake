# Shows that check_layers.cmake accepts a good tree and refuses bad ones, by the rule that is broken.
cmake_minimum_required(VERSION 3.22)

set(tree ${WORK_DIR}/layers)
set(spdx "// SPDX-License-Identifier: MIT\n")

function(check expected)
    execute_process(COMMAND ${CMAKE_COMMAND} -DINCLUDE_DIR=${tree} -P ${CMAKE_CURRENT_LIST_DIR}/check_layers.cmake
        OUTPUT_VARIABLE output ERROR_VARIABLE output)
    string(REGEX REPLACE "[ \n]+" " " output "${output}")  # CMake wraps long messages
    string(FIND "${output}" "${expected}" position)
    if(position EQUAL -1)
        message(FATAL_ERROR "expected '${expected}', got: ${output}")
    endif()
endfunction()

function(start_tree)
    file(REMOVE_RECURSE ${tree})
    file(WRITE ${tree}/gradus/core/a.hpp "${spdx}#pragma once\n")
    file(WRITE ${tree}/gradus/nn/b.hpp "${spdx}#pragma once\n#include \"gradus/core/a.hpp\"\n")
    file(WRITE ${tree}/gradus/gradus.hpp
        "${spdx}#pragma once\n#include \"gradus/core/a.hpp\"\n#include \"gradus/nn/b.hpp\"\n")
endfunction()

function(refuses folder text expected)
    start_tree()
    file(WRITE ${tree}/gradus/${folder}/bad.hpp "${text}")
    file(APPEND ${tree}/gradus/gradus.hpp "#include \"gradus/${folder}/bad.hpp\"\n")
    check("gradus/${folder}/bad.hpp: ${expected}")
endfunction()

start_tree()
check("3 headers keep the layer rules")

set(start "${spdx}#pragma once\n")
refuses(core "${start}#include \"gradus/nn/b.hpp\"\n" "a header in core/ must not include one in nn/")
refuses(loss "${start}#include \"gradus/nn/b.hpp\"\n" "a header in loss/ must not include one in nn/")
refuses(core "${start}#include \"../nn/b.hpp\"\n" "'#include \"../nn/b.hpp\"' must name")
refuses(core "${start}#include \"gradus/gradus.hpp\"\n" "'#include \"gradus/gradus.hpp\"' must name")
refuses(ops "${start}  #pragma omp parallel\n" "#pragma omp belongs")
refuses(ops "${start}#include <Eigen/Core>\n" "Eigen belongs")
refuses(ops "${start}#include <iostream>\n" "<iostream> belongs")
foreach(line "inline void f() { asm(\"nop\"); }" "    asm volatile (\"nop\")" "    __asm__(\"nop\")" "#if defined(__x86_64__)"
        "#elif defined(_M_ARM64) || 0" "#ifdef __AVX2__" "#include <immintrin.h>" "#include <arm_neon.h>"
        "[[gnu::target(\"avx2\")]] void f()" "    __builtin_ia32_sfence()" "    x = _mm256_add_ps(x, y)")
    refuses(kernels/gemm "${start}${line}\n" "asm and what is for one processor belong in kernels/simd/ only")
endforeach()
refuses(kernels/gemm "${start}#include \"gradus/kernels/conv/c.hpp\"\n"
    "a header in kernels/gemm/ must not include one in kernels/conv/")
refuses(kernels/pool "${start}#include \"gradus/kernels/norm/n.hpp\"\n"
    "a header in kernels/pool/ must not include one in kernels/norm/")
refuses(kernels "${start}" "a header of kernels/ lies in one of its rooms")
refuses(kernels/cupboard "${start}" "the folder is no room of kernels/")
refuses(misc "${start}" "the folder is no layer")
refuses(ops "${spdx}" "#pragma once is missing")
refuses(ops "#pragma once\n" "the first line must be")

start_tree()
file(WRITE ${tree}/gradus/kernels/simd/good.hpp "${start}#if defined(__x86_64__)\ninline void f() { asm(\"nop\"); }\n#endif\n")
file(APPEND ${tree}/gradus/gradus.hpp "#include \"gradus/kernels/simd/good.hpp\"\n")
check("4 headers keep the layer rules")

start_tree()
file(WRITE ${tree}/gradus/ops/forgotten.hpp "${start}")
check("gradus/gradus.hpp: must include \"gradus/ops/forgotten.hpp\"")

start_tree()
file(WRITE ${tree}/gradus/compiled/forgotten.inc "")
file(WRITE ${tree}/gradus/compiled_lists.inc "")
check("gradus/compiled_lists.inc: must include \"gradus/compiled/forgotten.inc\"")

# Definitions of functions that are compiled once.
function(separate header definitions list expected)
    start_tree()
    file(WRITE ${tree}/gradus/nn/b.hpp "${start}${header}")
    file(WRITE ${tree}/gradus/nn/b.inc "${start}${definitions}")
    file(WRITE ${tree}/gradus/compiled/nn.inc "${list}")
    file(WRITE ${tree}/gradus/compiled_lists.inc "#include \"gradus/compiled/nn.inc\"\n")
    check("${expected}")
endfunction()
set(hpp "#include \"gradus/nn/b.hpp\"\n")
set(inc "#include \"gradus/nn/b.inc\"\n")
separate("${inc}" "${hpp}" "${inc}" "3 headers keep the layer rules")
separate("" "${hpp}" "${inc}" "gradus/nn/b.hpp: must include \"gradus/nn/b.inc\"")
separate("${inc}" "" "${inc}" "gradus/nn/b.inc: must include \"gradus/nn/b.hpp\"")
separate("${inc}" "${hpp}" "" "gradus/nn/b.inc: must be in one list of compiled/: is in 0")
message(STATUS "every broken rule was found")
