// The kernel's own symbol table (scripts/kallsyms.c), found and decoded without any symbol.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "objdiff/image/run_image.h"

namespace ksplice {

// Decodes the kallsyms tables that lie in section (a kernel's .rodata). Sizes are left 0. The
// result is in the table's order, which is by address. Throws Error("bad_image") naming the image
// and the first thing that is not as it must be.
std::vector<RunSymbol> decode_kallsyms(const RunSection& section, const std::string& name);

// Whether a kernel's own symbol table leaves the name out though the kernel has it: the parts of
// the table itself, which is made when all else is linked (scripts/kallsyms.c and link-vmlinux.sh).
bool is_left_out_of_kallsyms(std::string_view name);

}  // namespace ksplice
