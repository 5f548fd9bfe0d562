#include "objdiff/object/dwarf.h"

#include <elf.h>

#include <cstring>

#include "objdiff/arch/arch.h"
#include "objdiff/object/dwarf_data.h"
#include "objdiff/object/elf_write.h"

namespace ksplice {

std::string tidy_path(const char* path) {
  std::string_view text = path == nullptr ? "" : path;
  while (text.starts_with("./")) text.remove_prefix(2);
  return std::string(text);
}

std::string name_of(Dwarf_Die* die) {
  Dwarf_Attribute attribute;
  if (dwarf_attr_integrate(die, DW_AT_name, &attribute) == nullptr) return "";
  const char* name = dwarf_formstring(&attribute);
  return name == nullptr ? "" : name;
}

// Applies the relocations of the debug sections to a copy and hands that to libdw: an object in
// memory has no file that libdwfl could relocate.
bool DebugInfo::Data::open() {
  if (opened) return dwarf != nullptr;
  opened = true;
  if (!has_info) return false;
  uint64_t next = 0x10000;
  for (const auto& section : object.sections) {
    if (section->name.starts_with(".debug_")) continue;
    bases[section.get()] = next;
    next += (section->size + 0x1ffff) & ~uint64_t{0xffff};
  }
  Object copy;
  copy.path = object.path;
  for (const auto& section : object.sections) {
    if (!section->name.starts_with(".debug_")) continue;
    if ((section->flags & SHF_COMPRESSED) != 0) return false;
    auto& target = copy.sections.emplace_back(std::make_unique<Section>());
    target->name = section->name;
    target->type = section->type;
    target->flags = section->flags & ~uint64_t{SHF_ALLOC | SHF_GROUP | SHF_LINK_ORDER};
    target->entsize = section->entsize;
    target->data = section->data;
    target->size = section->data.size();
    for (const Relocation& relocation : section->relocations) {
      const unsigned width = reloc_size(relocation.type);
      if (relocation.symbol == nullptr || (width != 4 && width != 8)) continue;
      if (relocation.offset > target->size || target->size - relocation.offset < width) continue;
      uint64_t value = relocation.symbol->value + static_cast<uint64_t>(relocation.addend);
      if (auto base = bases.find(relocation.symbol->section); base != bases.end())
        value += base->second;
      std::memcpy(target->data.data() + relocation.offset, &value, width);
    }
  }
  image = write_object(copy);
  elf_version(EV_CURRENT);
  elf = elf_memory(reinterpret_cast<char*>(image.data()), image.size());
  if (elf == nullptr) return false;
  dwarf = dwarf_begin_elf(elf, DWARF_C_READ, nullptr);
  if (dwarf == nullptr) return false;
  Dwarf_Off offset = 0, following = 0;
  size_t header = 0;
  while (dwarf_nextcu(dwarf, offset, &following, &header, nullptr, nullptr, nullptr) == 0) {
    Dwarf_Die die;
    if (dwarf_offdie(dwarf, offset + header, &die) != nullptr) units.push_back(die);
    if (following <= offset) break;
    offset = following;
  }
  return true;
}

DebugInfo::DebugInfo(const Object& object) : data_(std::make_unique<Data>(object)) {}
DebugInfo::~DebugInfo() = default;

bool DebugInfo::present() const { return data_->has_info && data_->open(); }

std::string DebugInfo::producer() const {
  Dwarf_Attribute attribute;
  if (!data_->open() || data_->units.empty() ||
      dwarf_attr(&data_->units.front(), DW_AT_producer, &attribute) == nullptr)
    return "";
  const char* text = dwarf_formstring(&attribute);
  return text == nullptr ? "" : text;
}

bool DebugInfo::is_assembly() const {
  if (!data_->open() || data_->units.empty()) return false;
  for (Dwarf_Die& unit : data_->units)
    if (dwarf_srclang(&unit) != DW_LANG_Mips_Assembler) return false;
  return true;
}

}  // namespace ksplice
