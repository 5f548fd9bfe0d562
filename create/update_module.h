// Turns update objects into kernel modules: kbuild links each with kmod-core's update.c, runs
// objtool over the result, makes the module's versions (modpost) and links it. The core is built
// with them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "create/kbuild.h"
#include "create/targets.h"

namespace ksplice {

struct BuiltModules {
  std::filesystem::path core;                            // ksplice.ko, without debug information
  std::map<std::string, std::filesystem::path> updates;  // by target
  std::vector<std::string> core_symbols;  // absolute symbols of the core to be filled in
  std::vector<std::string> warnings;      // of objtool, modpost and the linker
};

// Builds in folder (made; below a path that kbuild can work in). The core is the same for all
// updates of a kernel: it is kept in cache, by key (what kbuild depends on) and its sources.
// with_steps: kbuild may be spared (module_steps.h). Throws Error("module_failed") with kbuild's
// words.
BuiltModules build_modules(const Kbuild& kbuild, const std::vector<TargetUpdate>& updates,
                           const std::filesystem::path& folder, const std::filesystem::path& cache,
                           const std::string& key, bool with_steps);

// The lines of a Module.symvers that are of the core: kbuild names a module by the path without
// suffix, absolute up to 6.12, relative to its folder since 6.13.
std::string core_exports(const std::string& symvers);

// Folder with the core's sources: share/ksplice/kmod-core beside the program's bin, or the source
// tree that this program was built from.
std::filesystem::path core_source_folder();

}  // namespace ksplice
