# The tarball's reader and writer, by itself because the tools on the patched host use it too.
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
add_library(package STATIC ${CMAKE_CURRENT_LIST_DIR}/package.cc
  ${CMAKE_CURRENT_LIST_DIR}/package_manifest.cc)
target_link_libraries(package PUBLIC objdiff_base
  PRIVATE PkgConfig::ARCHIVE PkgConfig::CRYPTO PkgConfig::ZLIB)
