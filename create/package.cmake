# The tarball's reader by itself, because the tools of the patched host use only that. They choose the
# libarchive that they link; everything else links the shared one.
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
add_library(package_reader STATIC ${CMAKE_CURRENT_LIST_DIR}/delta_read.cc
  ${CMAKE_CURRENT_LIST_DIR}/package_manifest.cc ${CMAKE_CURRENT_LIST_DIR}/package_read.cc)
target_link_libraries(package_reader PUBLIC objdiff_base
  PRIVATE PkgConfig::CRYPTO PkgConfig::ZLIB xdelta3)
add_library(package STATIC ${CMAKE_CURRENT_LIST_DIR}/delta_write.cc
  ${CMAKE_CURRENT_LIST_DIR}/package_write.cc)
target_link_libraries(package PUBLIC package_reader
  PRIVATE PkgConfig::ARCHIVE PkgConfig::ZLIB xdelta3)
