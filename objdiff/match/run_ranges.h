// From a matched function to what the core verifies on the host: its bytes, the fields that depend
// on the boot, and the ranges that the kernel rewrites itself.
#pragma once

#include "objdiff/match/match_code.h"
#include "objdiff/match/run_pre.h"

namespace ksplice {

// The name is left empty.
RunCode make_run_code(const PreIndex& pre, const RunImage& image, const RunTables& tables,
                      const Entity& entity, const Comparison& code);

}  // namespace ksplice
