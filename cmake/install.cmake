# `cmake --install` lays out the headers and what find_package(gradus) needs.
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

install(TARGETS gradus EXPORT gradus-targets FILE_SET HEADERS)
install(EXPORT gradus-targets NAMESPACE gradus:: DESTINATION ${package_dir})
install(FILES ${PROJECT_BINARY_DIR}/gradus-config.cmake ${PROJECT_BINARY_DIR}/gradus-config-version.cmake
    cmake/compiled.cmake DESTINATION ${package_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
