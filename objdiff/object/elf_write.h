// Lays an Object out as an ET_REL file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "objdiff/object/object.h"

namespace ksplice {

// Returns the bytes of a relocatable ELF file holding object: its sections in order, one .rela
// section behind each that has relocations, .symtab (locals first, otherwise in order), .strtab,
// .shstrtab. The same object gives the same bytes. Throws Error("internal") if a relocation or a
// symbol refers to a section or symbol that the object does not own.
std::vector<uint8_t> write_object(const Object& object);

}  // namespace ksplice
