# Compiles and runs the code blocks of the documentation; doc_snippets.awk says how.
file(GLOB pages CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
    ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/docs/*.md)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/doc_snippets.awk)

set(fresh_dir ${PROJECT_BINARY_DIR}/docs/fresh)
set(source_dir ${PROJECT_BINARY_DIR}/docs/sources)
set(run_dir ${PROJECT_BINARY_DIR}/docs/run)
file(REMOVE_RECURSE ${fresh_dir})
file(MAKE_DIRECTORY ${fresh_dir} ${source_dir} ${run_dir})

# Snippets show values without using them. Linked last, so that its options come after those it takes back. Programs take
# the templates from gradus::compiled, as the tests do; what users wait for without it, compile_time.sh measures.
add_library(doc_snippet INTERFACE)
target_link_libraries(doc_snippet INTERFACE gradus::compiled)
target_compile_options(doc_snippet INTERFACE -Wno-unused -Wno-unused-parameter -Wno-shadow)

set(test_sources "")
foreach(page IN LISTS pages)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${page})
    execute_process(COMMAND awk -v out=${fresh_dir} -f ${CMAKE_CURRENT_LIST_DIR}/doc_snippets.awk ${page}
        WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
        OUTPUT_VARIABLE made
        OUTPUT_STRIP_TRAILING_WHITESPACE
        COMMAND_ERROR_IS_FATAL ANY)
    string(REPLACE "\n" ";" made "${made}")
    foreach(item IN LISTS made)
        separate_arguments(item UNIX_COMMAND "${item}")
        list(POP_FRONT item kind name action)
        file(COPY_FILE ${fresh_dir}/${name}.cpp ${source_dir}/${name}.cpp ONLY_IF_DIFFERENT)
        if(kind STREQUAL "tests")
            list(APPEND test_sources ${source_dir}/${name}.cpp)
            continue()
        endif()
        if(CMAKE_BUILD_TYPE STREQUAL "Debug")  # minutes, with sanitizers
            continue()
        endif()
        add_executable(doc_${name} ${source_dir}/${name}.cpp)
        target_link_libraries(doc_${name} PRIVATE gradus_warnings doc_snippet)
        target_compile_options(doc_${name} PRIVATE ${not_optimized})
        if(action STREQUAL "run")
            add_test(NAME doc_${name} COMMAND doc_${name} ${item} WORKING_DIRECTORY ${run_dir})
            set_tests_properties(doc_${name} PROPERTIES LABELS docs)
        endif()
    endforeach()
endforeach()

if(test_sources)
    add_test_program(test_docs ${test_sources})
    target_link_libraries(test_docs PRIVATE doc_snippet)
    add_test(NAME docs COMMAND test_docs WORKING_DIRECTORY ${run_dir})
    set_tests_properties(docs PROPERTIES LABELS docs)
endif()
