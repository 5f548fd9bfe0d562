#include "objdiff/object/dwarf_data.h"

namespace ksplice {

namespace {

struct PlaceFinder {
  const uint8_t* start;  // of .debug_info
  DebugPlaces places;

  uint64_t offset_of(const void* at) const {
    return static_cast<uint64_t>(static_cast<const uint8_t*>(at) - start);
  }

  static uint8_t size_of(unsigned form) {
    switch (form) {
      case DW_FORM_data1:
        return 1;
      case DW_FORM_data2:
        return 2;
      case DW_FORM_data4:
        return 4;
      case DW_FORM_data8:
        return 8;
      default:
        return 0;
    }
  }

  void look_at(Dwarf_Die* die) {
    Dwarf_Attribute low, high, location;
    if (dwarf_attr(die, DW_AT_low_pc, &low) != nullptr && dwarf_whatform(&low) == DW_FORM_addr &&
        dwarf_attr(die, DW_AT_high_pc, &high) != nullptr)
      if (const uint8_t size = size_of(dwarf_whatform(&high)); size != 0)
        places.code.push_back({offset_of(low.valp), offset_of(high.valp), size});
    Dwarf_Block block;
    constexpr Dwarf_Word AddressOnly = 9;
    if (dwarf_attr(die, DW_AT_location, &location) != nullptr &&
        dwarf_whatform(&location) == DW_FORM_exprloc && dwarf_formblock(&location, &block) == 0 &&
        block.length == AddressOnly && block.data[0] == DW_OP_addr)
      places.variables.push_back(offset_of(block.data));
  }

  void walk(Dwarf_Die* scope, int depth) {
    look_at(scope);
    Dwarf_Die child;
    if (depth > MaxDwarfDepth || dwarf_child(scope, &child) != 0) return;
    do walk(&child, depth + 1);
    while (dwarf_siblingof(&child, &child) == 0);
  }
};

}  // namespace

DebugPlaces DebugInfo::places() const {
  if (!data_->open()) return {};
  size_t names = 0;
  elf_getshdrstrndx(data_->elf, &names);
  PlaceFinder finder{nullptr, {}};
  for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(data_->elf, scn)) != nullptr;) {
    Elf64_Shdr* header = elf64_getshdr(scn);
    const char* name = header == nullptr ? nullptr : elf_strptr(data_->elf, names, header->sh_name);
    if (name == nullptr || std::string_view(name) != ".debug_info") continue;
    // The bytes that libdw reads, too.
    const Elf_Data* bytes = elf_rawdata(scn, nullptr);
    if (bytes != nullptr) finder.start = static_cast<const uint8_t*>(bytes->d_buf);
  }
  if (finder.start == nullptr) return {};
  for (Dwarf_Die& unit : data_->units) finder.walk(&unit, 0);
  return finder.places;
}

}  // namespace ksplice
