// How a type is written in C; internal to dwarf_types.cc.
#pragma once

#include <string>

#include "objdiff/object/dwarf_data.h"

namespace ksplice {

// "struct list_head node", "u8 (*slots)[16]", "int (*read)(struct file *)"; "" where it cannot be
// written again, as of a structure without a name.
std::string declaration_of(Dwarf_Die type, const std::string& name);

}  // namespace ksplice
