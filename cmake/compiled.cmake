# gradus::compiled, for projects of many files: the same headers and flags as gradus::gradus, but the templates for float
# are compiled once, in a static library that is built with the project (only if something links it). What it holds is in
# the files gradus_lists, one source each.
if(TARGET gradus_compiled)
    return()
endif()
set(sources "")
foreach(list IN LISTS gradus_lists)
    cmake_path(GET list STEM part)
    set(source ${CMAKE_CURRENT_BINARY_DIR}/gradus/compiled_${part}.cpp)
    file(GENERATE OUTPUT ${source} CONTENT
        "#include <gradus/gradus.hpp>\n#define GRADUS_EXTERN\n#include <gradus/compiled/${part}.inc>\n")
    list(APPEND sources ${source})
endforeach()
add_library(gradus_compiled STATIC EXCLUDE_FROM_ALL ${sources})
set_target_properties(gradus_compiled PROPERTIES POSITION_INDEPENDENT_CODE ON)  # for plugins and shared libraries
add_library(gradus::compiled ALIAS gradus_compiled)
target_link_libraries(gradus_compiled PUBLIC gradus::gradus)
target_compile_definitions(gradus_compiled PUBLIC GRADUS_COMPILED)
