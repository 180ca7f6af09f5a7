# Every parser reads what is wrong. The seeds are replayed, cut and with bits flipped, with any compiler; with sanitizers,
# clang's fuzzer goes on from them for GRADUS_FUZZ_SECONDS (10) each, where it is there:
#     cmake --preset dev && cmake --build --preset dev && GRADUS_FUZZ_SECONDS=60 ctest --preset dev -L fuzz
set(fuzz_dir ${CMAKE_CURRENT_LIST_DIR})
file(GLOB fuzz_targets CONFIGURE_DEPENDS ${fuzz_dir}/targets/*.cpp)

if(CMAKE_BUILD_TYPE STREQUAL "Debug")
    include(CheckCXXSourceCompiles)
    set(CMAKE_REQUIRED_FLAGS -fsanitize=fuzzer,address,undefined)
    set(CMAKE_REQUIRED_LINK_OPTIONS -fsanitize=fuzzer,address,undefined)
    check_cxx_source_compiles("#include <cstddef>
        extern \"C\" int LLVMFuzzerTestOneInput(const unsigned char*, std::size_t) { return 0; }" GRADUS_HAS_FUZZER)
    unset(CMAKE_REQUIRED_FLAGS)
    unset(CMAKE_REQUIRED_LINK_OPTIONS)
endif()

add_library(gradus_fuzz INTERFACE)
target_link_libraries(gradus_fuzz INTERFACE gradus::gradus gradus_warnings)
target_include_directories(gradus_fuzz INTERFACE ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_definitions(gradus_fuzz INTERFACE GRADUS_NO_BUILD_NOTES)

add_custom_target(fuzz_replays)  # all of them, to be built with sanitizers
set(fuzz_npy ${CMAKE_CURRENT_SOURCE_DIR}/io/references/*.npy)
set(fuzz_npz ${CMAKE_CURRENT_SOURCE_DIR}/io/references/*.npz)
set(fuzz_pytorch ${CMAKE_CURRENT_SOURCE_DIR}/io/references/*.pt)
set(fuzz_zip ${fuzz_npz} ${fuzz_pytorch})
foreach(source IN LISTS fuzz_targets)
    cmake_path(GET source STEM name)
    string(REPLACE "_structured" "" parser ${name})
    file(GLOB seeds CONFIGURE_DEPENDS ${fuzz_dir}/corpus/${parser}/* ${fuzz_${parser}})
    if(name STREQUAL parser)  # what is structured about the others is for the fuzzer
        add_executable(replay_${name} ${source} ${fuzz_dir}/replay.cpp)
        target_link_libraries(replay_${name} PRIVATE gradus_fuzz)
        add_dependencies(fuzz_replays replay_${name})
        add_labeled_test(fuzz replay_${name} COMMAND replay_${name} ${seeds})
    endif()
    if(GRADUS_HAS_FUZZER)
        add_executable(fuzz_${name} ${source})
        target_link_libraries(fuzz_${name} PRIVATE gradus_fuzz)
        target_compile_definitions(fuzz_${name} PRIVATE GRADUS_FUZZER)
        target_compile_options(fuzz_${name} PRIVATE -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer,address,undefined)
        add_labeled_test(fuzz fuzz_${name}
            COMMAND bash ${fuzz_dir}/run.sh $<TARGET_FILE:fuzz_${name}> ${CMAKE_CURRENT_BINARY_DIR}/fuzz/${name} ${seeds})
    endif()
endforeach()
if(CMAKE_BUILD_TYPE STREQUAL "Debug" AND NOT GRADUS_HAS_FUZZER)
    add_labeled_test(fuzz fuzzer COMMAND ${CMAKE_COMMAND} -E echo
        "skipped: no libFuzzer with this compiler; on Debian, clang and libclang-rt-14-dev have it")
    set_tests_properties(fuzzer PROPERTIES SKIP_REGULAR_EXPRESSION "skipped:")
endif()
