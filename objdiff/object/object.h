// The model of one relocatable ELF object, as plain data.
//
// elf_read builds it, stages query or copy it, elf_write lays it out again. Inside one object
// everything refers by pointer; ELF indices, string tables, sizes and file offsets exist only
// inside elf_read and elf_write. Original indices are kept for messages.
//
// The room object/: one object file, as it is. In: the bytes of an ELF file. Out: sections, symbols
// and relocations, the things they hold (atoms.h), the entries of special sections
// (special_tables.h), instructions with what they refer to (code.h), types and lines (dwarf.h); and
// an object as bytes again. It compares nothing, and never looks at a second object or an image.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ksplice {

struct Section;

// st_info/st_other/st_shndx of the gABI "Symbol Table", with the section as a pointer.
struct Symbol {
  std::string name;
  uint8_t bind = 0;            // STB_*
  uint8_t type = 0;            // STT_*
  uint8_t other = 0;           // st_other (visibility)
  Section* section = nullptr;  // null for undefined, absolute and common symbols
  uint16_t shndx = 0;          // SHN_UNDEF, SHN_ABS or SHN_COMMON when section is null
  uint64_t value = 0;          // offset in section (ET_REL), or the absolute value
  uint64_t size = 0;
  uint32_t index = 0;  // index in the file read

  bool is_undefined() const { return section == nullptr && shndx == 0; }
  bool is_section() const { return type == 3; }   // STT_SECTION
  bool is_function() const { return type == 2; }  // STT_FUNC
};

// One Elf64_Rela. Relocations of a section are sorted by offset.
struct Relocation {
  uint64_t offset = 0;  // in the section that is relocated
  uint32_t type = 0;    // as arch.h knows it
  Symbol* symbol = nullptr;
  int64_t addend = 0;
};

struct Section {
  std::string name;
  uint32_t type = 0;   // SHT_*
  uint64_t flags = 0;  // SHF_*
  uint64_t addr = 0;   // sh_addr; 0 in ET_REL
  uint64_t align = 1;
  uint64_t entsize = 0;
  uint64_t size = 0;          // equals data.size() unless SHT_NOBITS
  std::vector<uint8_t> data;  // empty for SHT_NOBITS
  std::vector<Relocation> relocations;
  Section* link = nullptr;  // SHF_LINK_ORDER partner, or null
  uint32_t index = 0;       // index in the file read

  bool is_alloc() const { return (flags & 0x2) != 0; }     // SHF_ALLOC
  bool is_write() const { return (flags & 0x1) != 0; }     // SHF_WRITE
  bool is_exec() const { return (flags & 0x4) != 0; }      // SHF_EXECINSTR
  bool is_strings() const { return (flags & 0x20) != 0; }  // SHF_STRINGS
};

// Owns its sections and symbols. Symbol and relocation-section tables of the file do not appear as
// sections; SHT_GROUP sections do, with data as read.
struct Object {
  std::string path;       // for messages
  uint16_t elf_type = 1;  // ET_REL, ET_EXEC or ET_DYN
  std::vector<std::unique_ptr<Section>> sections;
  std::vector<std::unique_ptr<Symbol>> symbols;  // file order, without the null symbol

  Section* find_section(const std::string& name) const;  // first of that name, or null
  Symbol* find_symbol(const std::string& name) const;    // first defined of that name, or null
};

}  // namespace ksplice
