// Functions that the patch changes and that the running kernel does not contain.
//
// A unit may define a function that the link leaves out: a __weak default for which another unit
// has the real definition, or anything of a unit that the linker took from an archive (lib/lib.a)
// only if somebody needed it. There is nothing to replace then, and nothing is lost. Only evidence
// of the image counts: a function that is merely not found is no such case.
#pragma once

#include <string>
#include <vector>

#include "create/targets.h"

namespace ksplice {

// Why the image cannot contain function, a changed one of unit, or "" if that is not known.
// Invariant for __weak: the compiled symbol is weak, and the image's one symbol of that name is
// global and not weak, so the linker took another definition.
std::string why_absent(const ChangedUnit& unit, const FunctionDiff& function,
                       const RunImage& image);

// Takes those that match did not find, and why_absent explains, out of unit's changes. Returns a
// note for each.
std::vector<std::string> leave_out_absent(ChangedUnit& unit, const RunImage& image);

// Whether anything of unit is left to update.
bool has_changes(const ChangedUnit& unit);

}  // namespace ksplice
