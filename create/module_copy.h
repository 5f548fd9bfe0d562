// A copy of an out-of-tree module's source, for kbuild to work in.
//
// A Makefile may take sources from beside its folder ("main.o ../shared/words.o"), and C may
// include headers from there. Such paths are looked for in the texts of the copied files; the
// folders that they lead to are copied to the same place beside the copy, and looked through in
// turn. A folder that the module's own lies in is copied without its other folders.
//
//   /src/climb/module, /src/climb/shared   ->   TO/module, TO/shared; root TO, original /src/climb
//
// Not taken: a kernel's tree (KDIR ?= ../linux), and folders of the system. Not found: paths that
// make puts together from variables of its own ($(TOP)/shared). Links to folders are followed, but
// not in a circle.
#pragma once

#include <filesystem>

namespace ksplice {

struct ModuleCopy {
  std::filesystem::path folder, source;  // the copy of the module's folder, and that itself
  std::filesystem::path root, original;  // the same of all that was copied
};

// original must be canonical; to is made.
ModuleCopy copy_module(const std::filesystem::path& original, const std::filesystem::path& to);

}  // namespace ksplice
