// Names that the patch gives to something else, as the rest of the target sees it: the running code
// that no unit of the patch replaces is linked to what had the name before.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "objdiff/update/update_object.h"

namespace ksplice {

// Takes all units of one target in which anything differs. vmlinux is the kernel's image, image
// that of the target. Code global_moved.
std::vector<Refusal> refuse_moved_names(const std::vector<Unit>& units, const RunImage& image,
                                        const RunImage& vmlinux);

// Variables that went from one unit to another, by target: the new one would begin with its initial
// value. Code state_lost.
std::vector<Refusal> refuse_moved_state(const std::map<std::string, std::vector<Unit>>& targets);

}  // namespace ksplice
