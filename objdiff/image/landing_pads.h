// Where a call through a pointer traps, on a processor that has indirect branch tracking.
#pragma once

#include <cstdint>

#include "objdiff/image/run_image.h"

namespace ksplice {

// Whether the kernel watches such calls, where the processor can.
bool has_branch_tracking(const RunImage& vmlinux);

// Whether the code at addr in image has no landing pad by now: it was sealed, as nothing in the
// image leads to it, or the compiler made none, as it does for a static function that is only
// called. False for what is no code, and in a kernel without tracking.
bool lacks_landing_pad(const RunImage& image, const RunImage& vmlinux, uint64_t addr);

}  // namespace ksplice
