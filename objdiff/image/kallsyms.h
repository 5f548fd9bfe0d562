// The kernel's own symbol table (scripts/kallsyms.c), found and decoded without any symbol.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "objdiff/image/run_image.h"

namespace ksplice {

// Decodes the kallsyms tables that lie in section (a kernel's .rodata). Sizes are left 0. The
// result is in the table's order, which is by address. Throws Error("bad_image") naming the image
// and the first thing that is not as it must be.
std::vector<RunSymbol> decode_kallsyms(const RunSection& section, const std::string& name);

}  // namespace ksplice
