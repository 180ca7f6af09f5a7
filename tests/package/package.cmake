# Other projects can use this one: in every usual way, without OpenMP, and in a library that they install themselves.
set(package_dir ${CMAKE_CURRENT_BINARY_DIR}/package)
set(prefix ${package_dir}/prefix)

# NAME [FIXTURES_... NAME] OPTIONS...: the project in tests/package, configured with the options, builds and runs.
function(add_consumer_test name)
    add_labeled_test(package package_${name}
        COMMAND ${CMAKE_CTEST_COMMAND}
            --build-and-test ${CMAKE_CURRENT_SOURCE_DIR}/package ${package_dir}/${name}
            --build-generator ${CMAKE_GENERATOR}
            --build-options -DGRADUS_DIR=${PROJECT_SOURCE_DIR} -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}
                -DWITH_EIGEN=$<TARGET_EXISTS:Eigen3::Eigen> ${ARGN}
            --test-command consumer)
endfunction()

add_labeled_test(package package_install COMMAND ${CMAKE_COMMAND} --install ${PROJECT_BINARY_DIR} --prefix ${prefix})
add_labeled_test(package package_uninstall COMMAND ${CMAKE_COMMAND} -E rm -rf ${prefix})
set_tests_properties(package_install PROPERTIES FIXTURES_SETUP installed)
set_tests_properties(package_uninstall PROPERTIES FIXTURES_CLEANUP installed)

add_consumer_test(find_package -DWAY=find_package -DCMAKE_PREFIX_PATH=${prefix})
add_consumer_test(add_subdirectory -DWAY=add_subdirectory)
add_consumer_test(FetchContent -DWAY=FetchContent)
add_labeled_test(package package_pkg_config COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/package/pkg_config.sh
    ${CMAKE_CXX_COMPILER} ${prefix} ${PROJECT_VERSION})
set_tests_properties(package_find_package package_pkg_config PROPERTIES FIXTURES_REQUIRED installed)
set_tests_properties(package_pkg_config PROPERTIES SKIP_RETURN_CODE 77)

# Without CMake: one file of the program compiles the library, the others see declarations.
add_labeled_test(package package_two_lines COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/package/two_lines.sh
    ${CMAKE_CXX_COMPILER} ${PROJECT_SOURCE_DIR}/include)

# A system without OpenMP: a warning, and everything runs on one thread; also what was installed from there.
add_consumer_test(without_openmp -DWAY=add_subdirectory -DCMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON)
set_tests_properties(package_without_openmp PROPERTIES FIXTURES_SETUP without_openmp)
add_labeled_test(package package_without_openmp_install
    COMMAND ${CMAKE_COMMAND} --install ${package_dir}/without_openmp --prefix ${package_dir}/prefix_without_openmp)
set_tests_properties(package_without_openmp_install PROPERTIES
    FIXTURES_REQUIRED without_openmp FIXTURES_SETUP installed_without_openmp)
add_labeled_test(package package_without_openmp_found
    COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_SOURCE_DIR}/package -B ${package_dir}/without_openmp_found
        -G ${CMAKE_GENERATOR} -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER} -DWAY=find_package
        -DCMAKE_PREFIX_PATH=${package_dir}/prefix_without_openmp -DCMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON)
set_tests_properties(package_without_openmp_found PROPERTIES FIXTURES_REQUIRED installed_without_openmp)

# A library that takes gradus by add_subdirectory can install(EXPORT) itself, and what it installs can be found.
set(library_prefix ${package_dir}/prefix_of_library)
add_labeled_test(package package_library
    COMMAND ${CMAKE_CTEST_COMMAND}
        --build-and-test ${CMAKE_CURRENT_SOURCE_DIR}/package/library ${package_dir}/library
        --build-generator ${CMAKE_GENERATOR} --build-target install
        --build-options -DGRADUS_DIR=${PROJECT_SOURCE_DIR} -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}
            -DCMAKE_INSTALL_PREFIX=${library_prefix})
set_tests_properties(package_library PROPERTIES FIXTURES_SETUP library)
add_consumer_test(through_library -DWAY=through_library -DCMAKE_PREFIX_PATH=${library_prefix})
set_tests_properties(package_through_library PROPERTIES FIXTURES_REQUIRED library)
