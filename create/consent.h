// What the differ reports, and the user may take on: told by --leave-out-init,
// --allow-busy, --change-pointers, --change-values, --begin-anew, --not-live and --zeroed.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "create/options.h"
#include "create/targets.h"
#include "objdiff/base/error.h"

namespace ksplice {

// Takes out of refusals what options consent to, with a note for each, and adds to the advice of
// the others which option would do. Code that new code needs (init_needed) cannot be left out.
// Marks in units the data that are switched in place.
std::vector<std::string> settle_consent(const Options& options, std::deque<ChangedUnit>& units,
                                        std::vector<Refusal>& refusals);

// What the pairs of the patch's own files are refused for, whatever further units change; units
// takes those that differ. Where code for the start changes, others decide if an option lifts that,
// and with --only-targets they may be left out: nothing then.
std::vector<Refusal> find_early_refusals(const Options& options, const std::vector<ObjectPair>& own,
                                         std::deque<ChangedUnit>& units);

}  // namespace ksplice
