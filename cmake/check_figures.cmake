# The figures in prose are those of the tables:  cmake -DROOT=. -P cmake/check_figures.cmake   (figures.awk explains)
cmake_minimum_required(VERSION 3.22)

foreach(page README.md docs/benchmarks.md docs/how-it-works.md)
    execute_process(COMMAND awk -f ${CMAKE_CURRENT_LIST_DIR}/figures.awk docs/benchmarks.md ${page}
        WORKING_DIRECTORY ${ROOT} OUTPUT_VARIABLE right ERROR_VARIABLE error RESULT_VARIABLE failed)
    file(READ ${ROOT}/${page} text)
    if(failed)
        message(FATAL_ERROR "${error}")
    elseif(NOT text STREQUAL right)
        message(FATAL_ERROR "${page} has other figures than the tables of docs/benchmarks.md; to write those: "
            "awk -f cmake/figures.awk docs/benchmarks.md ${page} > new && mv new ${page}")
    endif()
endforeach()
message(STATUS "all figures are those of the tables")
