# What docs/flags.md says of compiler flags is true. Once is enough: with g++, and where clang differs, with clang.
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
    return()
endif()

# SOURCE OPTIONS...: a program of its own with these options, which come after those of the build.
function(add_flags_program name source)
    add_executable(flags_${name} ${source})
    target_link_libraries(flags_${name} PRIVATE gradus_warnings)
    target_compile_options(flags_${name} PRIVATE ${ARGN})
    add_labeled_test(flags flags_${name} COMMAND flags_${name})
endfunction()

if(GRADUS_FULL_TESTS)
    add_flags_program(fast_math flags/fast_math.cpp -O1 -ffast-math -Wno-float-equal)
    target_include_directories(flags_fast_math PRIVATE .)
    target_link_libraries(flags_fast_math PRIVATE gradus::gradus Catch2::Catch2WithMain)
endif()

add_labeled_test(flags flags_no_exceptions COMMAND ${CMAKE_CXX_COMPILER} -std=c++20 -fno-exceptions -fsyntax-only
    -I ${PROJECT_SOURCE_DIR}/include ${CMAKE_CURRENT_SOURCE_DIR}/odr_b.cpp)
set_tests_properties(flags_no_exceptions PROPERTIES PASS_REGULAR_EXPRESSION "error: .*gradus reports errors by exceptions")

if(GRADUS_FULL_TESTS AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # As slow as can be: the headers and nothing else.
    add_flags_program(none platforms/smoke.cpp -O0 -DGRADUS_NO_BUILD_NOTES)
    target_include_directories(flags_none PRIVATE ${PROJECT_SOURCE_DIR}/include)
    target_compile_features(flags_none PRIVATE cxx_std_20)

    # What people give to programs that they hand out.
    add_flags_program(release platforms/smoke.cpp -O1 -flto -DNDEBUG -fno-rtti -fvisibility=hidden -ffunction-sections)
    # Not gradus::gradus: CMake would name the shared libgomp.
    target_include_directories(flags_release PRIVATE ${PROJECT_SOURCE_DIR}/include)
    target_compile_features(flags_release PRIVATE cxx_std_20)
    target_compile_options(flags_release PRIVATE -fopenmp)
    target_link_options(flags_release PRIVATE -fopenmp -flto -static -Wl,--gc-sections)
endif()

# Two plugins in one process, of which one takes the templates from gradus::compiled.
foreach(plugin header_only compiled)
    add_library(plugin_${plugin} MODULE flags/plugin.cpp)
    target_link_libraries(plugin_${plugin} PRIVATE gradus_warnings)
endforeach()
target_link_libraries(plugin_header_only PRIVATE gradus::gradus)
target_link_libraries(plugin_compiled PRIVATE gradus::compiled)
add_executable(flags_plugins flags/plugin_host.cpp)
target_link_libraries(flags_plugins PRIVATE gradus::gradus gradus_warnings ${CMAKE_DL_LIBS})
add_dependencies(flags_plugins plugin_header_only plugin_compiled)
add_labeled_test(flags flags_plugins
    COMMAND flags_plugins $<TARGET_FILE:plugin_header_only> $<TARGET_FILE:plugin_compiled>)

# Every line of the page ends with the name of what tests it, and there is such a test. (The page is read for g++.)
if(GRADUS_FULL_TESTS AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/flags.md)
    file(STRINGS ${PROJECT_SOURCE_DIR}/docs/flags.md rows REGEX "^\\| `")
    file(STRINGS ${scripts}/platforms.sh jobs REGEX "^job_")
    if(NOT rows)
        message(FATAL_ERROR "docs/flags.md has no table of flags")
    endif()
    file(STRINGS ${PROJECT_SOURCE_DIR}/CMakePresets.json presets REGEX "\"name\":")
    foreach(row IN LISTS rows)
        string(REGEX MATCH "\\| (job |preset |)`([a-z_A-Z0-9]+)` \\|$" _ "${row}")
        set(kind "${CMAKE_MATCH_1}")
        set(name "${CMAKE_MATCH_2}")
        if(NOT ((kind STREQUAL "job " AND "${jobs}" MATCHES "job_${name}\\(")
                OR (kind STREQUAL "preset " AND "${presets}" MATCHES "\"${name}\"") OR TEST "${name}"))
            message(FATAL_ERROR "docs/flags.md: there is no test ${kind}${name} for the line\n${row}")
        endif()
    endforeach()
endif()
