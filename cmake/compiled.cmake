# gradus::compiled, for projects of many files: the same headers and flags as gradus::gradus, but the templates for float
# are compiled once, in a static library that is built with the project (only if something links it). What it holds is in
# the files gradus_lists, one source each: what include/gradus/compiled.inc says of builds without CMake.
if(TARGET gradus_compiled)
    return()
endif()
set(sources "")
foreach(list IN LISTS gradus_lists)
    cmake_path(GET list STEM part)
    set(source ${CMAKE_CURRENT_BINARY_DIR}/gradus/compiled_${part}.cpp)
    file(GENERATE OUTPUT ${source} CONTENT
        "#define GRADUS_IMPLEMENTATION\n#define GRADUS_PART ${part}\n#include <gradus/gradus.hpp>\n")
    list(APPEND sources ${source})
endforeach()
add_library(gradus_compiled STATIC EXCLUDE_FROM_ALL ${sources})
set_target_properties(gradus_compiled PROPERTIES POSITION_INDEPENDENT_CODE ON)  # for plugins and shared libraries
add_library(gradus::compiled ALIAS gradus_compiled)
target_link_libraries(gradus_compiled PUBLIC gradus::gradus)
target_compile_definitions(gradus_compiled PUBLIC GRADUS_COMPILED)
