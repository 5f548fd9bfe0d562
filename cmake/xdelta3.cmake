# xdelta3 (VCDIFF, RFC 3284) as a static library, from Debian's source package: cmake/get-xdelta3
# gets it. Only encoder and decoder: no program, no secondary compressors, which gzip makes
# superfluous and a hostile delta could otherwise choose.
if(NOT EXISTS "${KSPLICE_XDELTA3_SOURCE}/xdelta3.c")
  execute_process(COMMAND ${CMAKE_SOURCE_DIR}/cmake/get-xdelta3
    OUTPUT_VARIABLE xdelta3_source OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE xdelta3_status)
  if(NOT xdelta3_status EQUAL 0)
    message(FATAL_ERROR "no source of xdelta3")
  endif()
  set(KSPLICE_XDELTA3_SOURCE "${xdelta3_source}" CACHE PATH "folder of xdelta3's source" FORCE)
endif()
message(STATUS "xdelta3: ${KSPLICE_XDELTA3_SOURCE}")

add_library(xdelta3 STATIC ${KSPLICE_XDELTA3_SOURCE}/xdelta3.c)
target_include_directories(xdelta3 SYSTEM PUBLIC ${KSPLICE_XDELTA3_SOURCE})
# What configure would find out on x86-64.
target_compile_definitions(xdelta3 PUBLIC SIZEOF_SIZE_T=8 SIZEOF_UNSIGNED_LONG_LONG=8
  SIZEOF_UNSIGNED_LONG=8 SIZEOF_UNSIGNED_INT=4)
target_compile_definitions(xdelta3 PRIVATE XD3_MAIN=0 REGRESSION_TEST=0 EXTERNAL_COMPRESSION=0
  SECONDARY_DJW=0 SECONDARY_FGK=0 SECONDARY_LZMA=0 VCDIFF_TOOLS=0)
# Its warnings are not ours; and it reads and shifts in ways that UBSan reports and x86-64 defines.
target_compile_options(xdelta3 PRIVATE -w -fno-sanitize=undefined)
