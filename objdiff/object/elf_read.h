// Reads relocatable (and plain executable) x86-64 ELF files into the model. Only elf_read.cc and
// elf_write.cc use libelf.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "objdiff/object/object.h"

namespace ksplice {

// Reads the ELF file at path. Throws Error("bad_file") naming the file and what is wrong when it
// cannot be read, is not a little-endian x86-64 ELF, or is malformed anywhere that is looked at.
Object read_object(const std::string& path);

// The same from memory; name is used in messages. Copies what it keeps.
Object read_object(std::span<const uint8_t> image, const std::string& name);

}  // namespace ksplice
