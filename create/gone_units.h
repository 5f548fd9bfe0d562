// Units that the patch takes away: their source is deleted, or no list of a makefile has them any
// more. Nothing of them is replaced, but what they were for others is gone from the target.
//
// In: the lists of units of the whole tree, as make reads them, without and with the patch. Never:
// a judgement from the text of a makefile.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "create/affected.h"
#include "create/overlay.h"
#include "create/units.h"

namespace ksplice {

// Adds units without post to affected, and a refusal (unsupported_file) for each unit that is built
// in another place, or now for the first time without a source that is new.
void compare_unit_lists(const std::map<std::string, ConfiguredUnit>& before,
                        const std::map<std::string, ConfiguredUnit>& after, Affected& affected);

// The same for the tree, if the patch may take units away. Leaves the tree as it is.
void find_gone_units(UnitTable& table, Overlay& overlay, const Kbuild& kbuild, Affected& affected);

// The list of units of the patched tree that is in the overlay now.
UnitTable patched_units(const Kbuild& kbuild);

}  // namespace ksplice
