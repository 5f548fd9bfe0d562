// Whole modules with the patch in them (--build-modules), for targets that are not loaded yet.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "create/kbuild.h"
#include "create/pairs.h"

namespace ksplice {

// Builds every module among targets, in the patched tree, as the kernel's own build would but
// without debug information. pairs: what was compiled of them; folder: made, for kbuild. Leaves the
// modules' objects in kbuild's obj. Throws Error("module_failed").
std::map<std::string, std::filesystem::path> build_cold_modules(
    const Kbuild& kbuild, const std::vector<std::string>& targets,
    const std::vector<ObjectPair>& pairs, const std::filesystem::path& folder);

// The same for the modules of an external folder, of which source is the patched copy.
std::map<std::string, std::filesystem::path> build_cold_external(
    const Kbuild& kbuild, const std::vector<std::string>& targets,
    const std::filesystem::path& source);

}  // namespace ksplice
