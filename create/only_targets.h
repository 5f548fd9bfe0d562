// --only-targets: leaves out what belongs to other targets.
#pragma once

#include <string>
#include <vector>

#include "create/affected.h"
#include "create/pairs.h"
#include "create/progress.h"

namespace ksplice {

// Both throw Error("no_change") if nothing is left. only: patterns of targets; all if empty.
// Before anything of them is compiled; new units show their target only then.
void leave_out_targets(std::vector<AffectedUnit>& units, const std::vector<std::string>& only,
                       Progress& progress);

void leave_out_targets(std::vector<ObjectPair>& pairs, const std::vector<std::string>& only,
                       Progress& progress);

}  // namespace ksplice
