// What a change has to do with the start of the kernel or module, which is over.
#pragma once

#include <vector>

#include "objdiff/base/error.h"
#include "objdiff/diff/diff_refusals.h"

namespace ksplice {

// init_needed: new data that new code uses, and that start code sets up. always_busy: a changed
// function in which a task sits as long as the kernel runs.
std::vector<Refusal> find_start_refusals(const DiffContext& context);

}  // namespace ksplice
