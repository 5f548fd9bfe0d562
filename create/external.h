// Out-of-tree modules (--module-source): their own folder is what the patch changes.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "create/kbuild.h"
#include "create/overlay.h"
#include "create/pairs.h"
#include "create/patch.h"
#include "create/progress.h"

namespace ksplice {

struct ExternalPairs {
  std::vector<ObjectPair> pairs;   // units whose objects differ
  std::filesystem::path folder;    // the patched copy; Module.symvers has what it exports
  std::vector<std::string> notes;  // about changed .c files that are part of no unit
};

// The units that a make in folder left in root, which it lies in, by path relative to folder
// ("../shared/words.o"). kbuild names them by their absolute path up to 6.12, relative to the
// module's folder since 6.13.
std::map<std::string, BuiltUnit> find_external_units(const std::filesystem::path& folder,
                                                     const std::filesystem::path& root);

// Throws Error("bad_source") if folder is not a module's.
void check_module_source(const std::filesystem::path& folder);

// Builds the modules in a copy of folder, as they are and with changes, in the prepared kbuild. The
// whole folder is built, so Makefiles, headers and new files count as they would for its author.
// Throws like build_pairs, and Refused where the patch changes a part of a module that is no unit.
ExternalPairs build_external_pairs(Overlay& overlay, const Kbuild& kbuild,
                                   const std::filesystem::path& folder,
                                   const std::vector<FileChange>& changes, Progress& progress);

}  // namespace ksplice
