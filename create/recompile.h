// Compiles a unit once more as kbuild did, without kbuild.
//
// kbuild reads its makefiles for seconds, and asks the compiler some eighty questions, before it
// compiles one unit with the command that it recorded the last time. That command stays right as
// long as nothing changes but C and headers: the flags come from makefiles and the configuration.
// So the object of the source as it is comes from kbuild, and the same unit with the patch, or with
// other line numbers, from its command. What is not exactly as expected is left to kbuild, and so
// is what does not compile: its words are the ones that people know.
#pragma once

#include <optional>
#include <vector>

#include "create/kbuild.h"
#include "create/patch.h"

namespace ksplice {

// Whether the commands of units stay what they are with such changes: of C files and headers that
// are there before and after.
bool keeps_commands(const std::vector<FileChange>& changes);

// The unit known, which kbuild has built, compiled from what the tree holds now. Nothing if only
// kbuild can say what becomes of it; its object is then gone.
std::optional<BuiltUnit> recompile(const Kbuild& kbuild, const BuiltUnit& known);

// The files that a rule for make, as the compiler writes it, depends on.
std::vector<std::string> read_dependencies(const std::string& rule);

}  // namespace ksplice
