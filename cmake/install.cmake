# `cmake --install` lays out the headers and what find_package(gradus) and pkg-config need.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/gradus)  # share, not lib: nothing here depends on the architecture

configure_package_config_file(cmake/gradus-config.cmake.in ${PROJECT_BINARY_DIR}/gradus-config.cmake
    INSTALL_DESTINATION ${package_dir}
    PATH_VARS CMAKE_INSTALL_INCLUDEDIR
    NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/gradus-config-version.cmake
    COMPATIBILITY SameMinorVersion
    ARCH_INDEPENDENT)

install(DIRECTORY include/gradus DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.hpp" PATTERN "*.inc")
install(TARGETS gradus EXPORT gradus-targets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT gradus-targets NAMESPACE gradus:: DESTINATION ${package_dir})
install(FILES ${PROJECT_BINARY_DIR}/gradus-config.cmake ${PROJECT_BINARY_DIR}/gradus-config-version.cmake
    cmake/compiled.cmake DESTINATION ${package_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# For builds without CMake. The prefix is found from the file's own place, so what is installed can be moved.
file(RELATIVE_PATH pkgconfig_to_prefix ${CMAKE_INSTALL_FULL_DATADIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
set(pkgconfig_includedir ${CMAKE_INSTALL_INCLUDEDIR})
if(NOT IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
    string(PREPEND pkgconfig_includedir "\${prefix}/")
endif()
set(pkgconfig_openmp "$<$<BOOL:${OpenMP_CXX_FOUND}>:-fopenmp>")  # g++ and clang know it, whatever compiles this
set(pkgconfig_zlib $<BOOL:${ZLIB_FOUND}>)
set(pkgconfig_png $<BOOL:${PNG_FOUND}>)
configure_file(cmake/gradus.pc.in ${PROJECT_BINARY_DIR}/gradus.pc.in @ONLY)
file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/gradus.pc INPUT ${PROJECT_BINARY_DIR}/gradus.pc.in)
install(FILES ${PROJECT_BINARY_DIR}/gradus.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
