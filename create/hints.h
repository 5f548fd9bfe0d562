// Hints that are right for a refusal alone, and lead astray beside others.
#pragma once

#include <vector>

#include "objdiff/base/error.h"

namespace ksplice {

// In: all refusals of an update, with what follows from what. Changes their advice where another
// one makes it useless.
void correct_hints(std::vector<Refusal>& refusals);

}  // namespace ksplice
