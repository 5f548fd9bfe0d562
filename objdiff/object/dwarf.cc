#include "objdiff/object/dwarf.h"

#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <libelf.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "objdiff/arch/arch.h"
#include "objdiff/object/elf_write.h"

namespace ksplice {

namespace {

constexpr int MaxDepth = 64;  // of nested types and scopes; deeper ones are cut off

// Strips a leading "./" and everything up to the source folder that kbuild maps away.
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

bool type_of(Dwarf_Die* die, Dwarf_Die* type) {
  Dwarf_Attribute attribute;
  return dwarf_attr_integrate(die, DW_AT_type, &attribute) != nullptr &&
         dwarf_formref_die(&attribute, type) != nullptr;
}

// Through typedefs and qualifiers.
bool strip_qualifiers(Dwarf_Die* die) {
  for (int depth = 0; depth < MaxDepth; ++depth) {
    switch (dwarf_tag(die)) {
      case DW_TAG_typedef:
      case DW_TAG_const_type:
      case DW_TAG_volatile_type:
      case DW_TAG_restrict_type:
      case DW_TAG_atomic_type: {
        Dwarf_Die next;
        if (!type_of(die, &next)) return false;  // void
        *die = next;
        break;
      }
      default:
        return true;
    }
  }
  return false;
}

const char* tag_word(int tag) { return tag == DW_TAG_union_type ? "union" : "struct"; }

bool is_aggregate(int tag) { return tag == DW_TAG_structure_type || tag == DW_TAG_union_type; }

// The named structure that a type is made of, through pointers and arrays; "" if none.
std::string core_type(Dwarf_Die type) {
  for (int depth = 0; depth < MaxDepth; ++depth) {
    if (!strip_qualifiers(&type)) return "";
    const int tag = dwarf_tag(&type);
    if (is_aggregate(tag)) {
      const std::string name = name_of(&type);
      return name.empty() ? "" : fmt::format("{} {}", tag_word(tag), name);
    }
    if (tag != DW_TAG_pointer_type && tag != DW_TAG_array_type) return "";
    Dwarf_Die next;
    if (!type_of(&type, &next)) return "";
    type = next;
  }
  return "";
}

uint64_t array_count(Dwarf_Die* array) {
  uint64_t count = 1;
  Dwarf_Die child;
  if (dwarf_child(array, &child) != 0) return 0;
  do {
    if (dwarf_tag(&child) != DW_TAG_subrange_type) continue;
    Dwarf_Attribute attribute;
    Dwarf_Word value = 0;
    if (dwarf_attr(&child, DW_AT_count, &attribute) != nullptr &&
        dwarf_formudata(&attribute, &value) == 0)
      count *= value;
    else if (dwarf_attr(&child, DW_AT_upper_bound, &attribute) != nullptr &&
             dwarf_formudata(&attribute, &value) == 0)
      count *= value + 1;
    else
      return 0;
  } while (dwarf_siblingof(&child, &child) == 0);
  return count;
}

uint64_t size_of(Dwarf_Die type, int depth = 0) {
  if (depth > MaxDepth || !strip_qualifiers(&type)) return 0;
  const int bytes = dwarf_bytesize(&type);
  if (bytes >= 0) return static_cast<uint64_t>(bytes);
  if (dwarf_tag(&type) == DW_TAG_pointer_type) return 8;
  if (dwarf_tag(&type) != DW_TAG_array_type) return 0;
  Dwarf_Die element;
  return type_of(&type, &element) ? array_count(&type) * size_of(element, depth + 1) : 0;
}

std::string canonical(Dwarf_Die type, int depth = 0) {
  if (depth > MaxDepth || !strip_qualifiers(&type)) return "void";
  const int tag = dwarf_tag(&type);
  switch (tag) {
    case DW_TAG_pointer_type:
      return "pointer";
    case DW_TAG_enumeration_type:
      return fmt::format("int of {} bytes", size_of(type));
    case DW_TAG_base_type: {
      Dwarf_Attribute attribute;
      Dwarf_Word encoding = 0;
      if (dwarf_attr(&type, DW_AT_encoding, &attribute) != nullptr)
        dwarf_formudata(&attribute, &encoding);
      return fmt::format("{} of {} bytes", encoding == DW_ATE_float ? "float" : "int",
                         size_of(type));
    }
    case DW_TAG_array_type: {
      Dwarf_Die element;
      if (!type_of(&type, &element)) return "array";
      return fmt::format("array of {} {}", array_count(&type), canonical(element, depth + 1));
    }
    case DW_TAG_structure_type:
    case DW_TAG_union_type: {
      const std::string name = name_of(&type);
      return fmt::format("{} {}", tag_word(tag),
                         name.empty() ? fmt::format("of {} bytes", size_of(type)) : name);
    }
    default:
      return fmt::format("tag {:#x}", tag);
  }
}

uint64_t number(Dwarf_Die* die, unsigned name, bool* found = nullptr) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  const bool ok =
      dwarf_attr(die, name, &attribute) != nullptr && dwarf_formudata(&attribute, &value) == 0;
  if (found != nullptr) *found = ok;
  return ok ? value : 0;
}

// A member's type, as far as its layout goes.
struct MemberType {
  std::string text;      // canonical()
  uint64_t bits = 0;     // size
  bool unnamed = false;  // a structure or union without a name
};

// Many members share a type, and a typedef's is some steps away: remembered by offset.
using MemberTypes = std::unordered_map<Dwarf_Off, MemberType>;

const MemberType& member_type_of(Dwarf_Die type, MemberTypes& known) {
  auto [found, is_new] = known.try_emplace(dwarf_dieoffset(&type));
  if (!is_new) return found->second;
  found->second.text = canonical(type);
  found->second.bits = size_of(type) * 8;
  found->second.unnamed =
      strip_qualifiers(&type) && is_aggregate(dwarf_tag(&type)) && name_of(&type).empty();
  return found->second;
}

void collect_members(Dwarf_Die* type, uint64_t base, const std::string& prefix,
                     std::vector<TypeMember>& members, MemberTypes& known, int depth = 0) {
  Dwarf_Die child;
  if (depth > MaxDepth || dwarf_child(type, &child) != 0) return;
  do {
    if (dwarf_tag(&child) != DW_TAG_member) continue;
    TypeMember member;
    const std::string name = name_of(&child);
    member.name = prefix + name;
    member.offset = base + number(&child, DW_AT_data_member_location) * 8;
    bool bits = false;
    const uint64_t bit_offset = number(&child, DW_AT_data_bit_offset, &bits);
    if (bits) member.offset = base + bit_offset;
    Dwarf_Die member_type;
    if (type_of(&child, &member_type)) {
      const MemberType& shape = member_type_of(member_type, known);
      // What an unnamed structure holds are members of the outer one.
      if (shape.unnamed && strip_qualifiers(&member_type)) {
        collect_members(&member_type, member.offset, name.empty() ? prefix : prefix + name + ".",
                        members, known, depth + 1);
        continue;
      }
      member.type = shape.text;
      member.size = shape.bits;
    }
    bool bit_size_found = false;
    const uint64_t bit_size = number(&child, DW_AT_bit_size, &bit_size_found);
    if (bit_size_found) {
      if (!bits) {
        // DWARF 3: counted from the most significant bit of the storage unit.
        const uint64_t unit = member.size;
        const uint64_t from_top = number(&child, DW_AT_bit_offset);
        if (unit >= from_top + bit_size) member.offset += unit - from_top - bit_size;
      }
      member.size = bit_size;
    }
    members.push_back(std::move(member));
  } while (dwarf_siblingof(&child, &child) == 0);
}

// The member of type at the byte offset, as written behind a variable's name.
std::string member_path(Dwarf_Die type, uint64_t offset, int depth = 0) {
  if (depth > MaxDepth || !strip_qualifiers(&type)) return "";
  if (dwarf_tag(&type) == DW_TAG_array_type) {
    Dwarf_Die element;
    const uint64_t size = type_of(&type, &element) ? size_of(element) : 0;
    if (size == 0) return "";
    return fmt::format("[{}]", offset / size) + member_path(element, offset % size, depth + 1);
  }
  Dwarf_Die child;
  if (!is_aggregate(dwarf_tag(&type)) || dwarf_child(&type, &child) != 0) return "";
  do {
    if (dwarf_tag(&child) != DW_TAG_member) continue;
    Dwarf_Die member;
    const uint64_t begin = number(&child, DW_AT_data_member_location);
    if (!type_of(&child, &member) || offset < begin || offset - begin >= size_of(member)) continue;
    const std::string name = name_of(&child);
    return (name.empty() ? "" : "." + name) + member_path(member, offset - begin, depth + 1);
  } while (dwarf_siblingof(&child, &child) == 0);
  return "";
}

}  // namespace

std::string layout_difference(const TypeLayout& pre, const TypeLayout& post) {
  constexpr size_t Shown = 3;  // of the members that moved: behind one that grew, all do
  std::map<std::string, const TypeMember*> old, now;
  for (const TypeMember& member : pre.members) old[member.name] = &member;
  for (const TypeMember& member : post.members) now[member.name] = &member;
  std::vector<std::string> words;
  size_t moved = 0;
  auto place_taken = [](const TypeLayout& layout, const TypeMember& member) {
    return std::any_of(layout.members.begin(), layout.members.end(), [&](const TypeMember& other) {
      return other.offset == member.offset && other.size == member.size &&
             other.type == member.type;
    });
  };
  for (const auto& [name, member] : now) {
    auto before = old.find(name);
    if (before == old.end()) {
      if (!place_taken(pre, *member)) words.push_back(fmt::format("member {} was added", name));
    } else if (before->second->offset != member->offset) {
      if (++moved <= Shown)
        words.push_back(fmt::format("member {} moved from bit {} to bit {}", name,
                                    before->second->offset, member->offset));
    } else if (before->second->type != member->type) {
      words.push_back(
          fmt::format("member {} was {} and is {}", name, before->second->type, member->type));
    } else if (before->second->size != member->size) {
      words.push_back(fmt::format("member {} was {} bits wide and is {}", name,
                                  before->second->size, member->size));
    }
  }
  if (moved > Shown) words.push_back(fmt::format("{} further members moved", moved - Shown));
  for (const auto& [name, member] : old)
    if (!now.contains(name) && !place_taken(post, *member))
      words.push_back(fmt::format("member {} was removed", name));
  if (pre.size != post.size)
    words.push_back(fmt::format("its size changed from {} to {} bytes", pre.size, post.size));
  return fmt::format("{}", fmt::join(words, "; "));
}

struct DebugInfo::Data {
  explicit Data(const Object& object) : object(object) {
    for (const auto& section : object.sections)
      if (section->name == ".debug_info" && !section->data.empty()) has_info = true;
  }
  ~Data() {
    if (dwarf != nullptr) dwarf_end(dwarf);
    if (elf != nullptr) elf_end(elf);
  }

  struct Row {
    uint64_t address;
    int line;
    const char* file;
    bool end;
  };

  bool open();
  void read_lines();
  void read_types();
  void visit_scope(Dwarf_Die* scope, const std::string& function, int depth);
  void visit_type(Dwarf_Die* die);
  void visit_enum(Dwarf_Die* die);
  Dwarf_Die* function_at(uint64_t address);

  uint64_t address_of(const Section* section, uint64_t offset) const {
    auto found = bases.find(section);
    return found == bases.end() ? 0 : found->second + offset;
  }

  const Object& object;
  bool has_info = false;
  bool opened = false, lines_read = false, types_read = false, code_read = false;
  std::unordered_map<const Section*, uint64_t> bases;  // made-up addresses of sections
  std::vector<uint8_t> image;
  Elf* elf = nullptr;
  Dwarf* dwarf = nullptr;
  std::vector<Dwarf_Die> units;
  std::vector<Row> rows;
  std::map<uint64_t, std::pair<uint64_t, Dwarf_Die>> code;  // functions, by begin: end
  std::map<std::string, TypeLayout> types;
  std::map<std::string, Enumerator> enumerators;
  MemberTypes member_types;
  std::set<std::string> on_stack, held;
  std::map<std::string, std::set<std::string>> users;
  std::unordered_map<uint64_t, std::string> functions;  // by a variable's address
  std::multimap<std::string, Dwarf_Die> variables;  // with storage of their own, and their types
};

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

void DebugInfo::Data::read_lines() {
  if (lines_read) return;
  lines_read = true;
  if (!open()) return;
  for (Dwarf_Die& unit : units) {
    Dwarf_Lines* lines = nullptr;
    size_t count = 0;
    if (dwarf_getsrclines(&unit, &lines, &count) != 0) continue;
    for (size_t i = 0; i < count; ++i) {
      Dwarf_Line* line = dwarf_onesrcline(lines, i);
      Row row{};
      Dwarf_Addr address = 0;
      if (dwarf_lineaddr(line, &address) != 0 || dwarf_lineno(line, &row.line) != 0) continue;
      row.address = address;
      dwarf_lineendsequence(line, &row.end);
      row.file = dwarf_linesrc(line, nullptr, nullptr);
      rows.push_back(row);
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.address != b.address ? a.address < b.address : a.end && !b.end;
  });
}

void DebugInfo::Data::visit_type(Dwarf_Die* die) {
  const std::string name = name_of(die);
  Dwarf_Die child;
  if (dwarf_child(die, &child) == 0) {
    do {
      Dwarf_Die type;
      if (dwarf_tag(&child) == DW_TAG_member && type_of(&child, &type))
        if (const std::string core = core_type(type); !core.empty()) held.insert(core);
    } while (dwarf_siblingof(&child, &child) == 0);
  }
  if (name.empty() || dwarf_hasattr(die, DW_AT_declaration)) return;
  TypeLayout layout;
  layout.name = fmt::format("{} {}", tag_word(dwarf_tag(die)), name);
  layout.file = tidy_path(dwarf_decl_file(die));
  int line = 0;
  if (dwarf_decl_line(die, &line) == 0) layout.line = static_cast<unsigned>(line);
  layout.size = size_of(*die);
  collect_members(die, 0, "", layout.members, member_types);
  types.emplace(layout.name, std::move(layout));
}

void DebugInfo::Data::visit_enum(Dwarf_Die* die) {
  Dwarf_Die child;
  if (dwarf_child(die, &child) != 0) return;
  Enumerator enumerator;
  enumerator.file = tidy_path(dwarf_decl_file(die));
  int line = 0;
  if (dwarf_decl_line(die, &line) == 0) enumerator.line = static_cast<unsigned>(line);
  do {
    Dwarf_Attribute attribute;
    if (dwarf_tag(&child) != DW_TAG_enumerator ||
        dwarf_attr(&child, DW_AT_const_value, &attribute) == nullptr)
      continue;
    // Only these forms have a sign; a byte of 159 is just that.
    const unsigned form = dwarf_whatform(&attribute);
    Dwarf_Sword value = 0;
    Dwarf_Word word = 0;
    if (form == DW_FORM_sdata || form == DW_FORM_implicit_const)
      dwarf_formsdata(&attribute, &value);
    else if (dwarf_formudata(&attribute, &word) == 0)
      value = static_cast<Dwarf_Sword>(word);
    else
      continue;
    // Of 4 bytes, a value says nothing about its sign.
    enumerator.value = size_of(*die) <= 4 ? static_cast<int32_t>(value) : value;
    enumerators.emplace(name_of(&child), enumerator);
  } while (dwarf_siblingof(&child, &child) == 0);
}

void DebugInfo::Data::visit_scope(Dwarf_Die* scope, const std::string& function, int depth) {
  Dwarf_Die child;
  if (depth > MaxDepth || dwarf_child(scope, &child) != 0) return;
  do {
    const int tag = dwarf_tag(&child);
    if (is_aggregate(tag)) {
      visit_type(&child);
    } else if (tag == DW_TAG_enumeration_type) {
      visit_enum(&child);
    } else if (tag == DW_TAG_subprogram) {
      visit_scope(&child, name_of(&child), depth + 1);
    } else if (tag == DW_TAG_lexical_block) {
      visit_scope(&child, function, depth + 1);
    } else if (tag == DW_TAG_variable || tag == DW_TAG_formal_parameter) {
      Dwarf_Die type;
      if (!type_of(&child, &type)) continue;
      const std::string core = core_type(type);
      bool is_static = function.empty() || dwarf_hasattr(&child, DW_AT_external);
      Dwarf_Attribute attribute;
      Dwarf_Op* ops = nullptr;
      size_t count = 0;
      if (dwarf_attr(&child, DW_AT_location, &attribute) != nullptr &&
          dwarf_getlocation(&attribute, &ops, &count) == 0 && count > 0 &&
          ops[0].atom == DW_OP_addr) {
        is_static = true;
        functions.emplace(ops[0].number, function);
      }
      if (core.empty()) continue;
      users[core].insert(is_static ? name_of(&child) : function);
      if (is_static && !dwarf_hasattr(&child, DW_AT_declaration))
        variables.emplace(name_of(&child), type);
      if (is_static) {
        held.insert(core);
      } else if (strip_qualifiers(&type) && is_aggregate(dwarf_tag(&type))) {
        on_stack.insert(core);
      }
    }
  } while (dwarf_siblingof(&child, &child) == 0);
}

void DebugInfo::Data::read_types() {
  if (types_read) return;
  types_read = true;
  if (!open()) return;
  for (Dwarf_Die& unit : units) visit_scope(&unit, "", 0);
}

DebugInfo::DebugInfo(const Object& object) : data_(std::make_unique<Data>(object)) {}
DebugInfo::~DebugInfo() = default;

bool DebugInfo::present() const { return data_->has_info && data_->open(); }

std::optional<SourceLine> DebugInfo::line_at(const Section* section, uint64_t offset) const {
  data_->read_lines();
  if (data_->rows.empty()) return std::nullopt;
  const uint64_t address = data_->address_of(section, offset);
  auto after =
      std::upper_bound(data_->rows.begin(), data_->rows.end(), address,
                       [](uint64_t value, const Data::Row& row) { return value < row.address; });
  if (after == data_->rows.begin()) return std::nullopt;
  const Data::Row& row = *std::prev(after);
  if (row.end || row.line <= 0 || row.address < data_->address_of(section, 0)) return std::nullopt;
  return SourceLine{tidy_path(row.file), static_cast<unsigned>(row.line)};
}

bool DebugInfo::has_line(const Section* section, uint64_t begin, uint64_t end, unsigned line,
                         uint64_t offset) const {
  constexpr uint64_t Reach = 96;  // from the first argument's load to its call
  data_->read_lines();
  const uint64_t low =
      data_->address_of(section, std::max(begin, offset - std::min<uint64_t>(offset, Reach)));
  const uint64_t high = data_->address_of(section, std::min(end, offset + Reach));
  auto row =
      std::lower_bound(data_->rows.begin(), data_->rows.end(), low,
                       [](const Data::Row& row, uint64_t value) { return row.address < value; });
  for (; row != data_->rows.end() && row->address < high; ++row)
    if (!row->end && row->line == static_cast<int>(line)) return true;
  return false;
}

namespace {

// A range of code that was inlined.
struct InlinedRange {
  uint64_t begin, end;
  std::string name;
  int declared;  // line
  bool in_header;
};

// Outer ranges before the inner ones.
void collect_inlined(Dwarf_Die* scope, std::vector<InlinedRange>& ranges, int depth = 0) {
  Dwarf_Die child;
  if (depth > MaxDepth || dwarf_child(scope, &child) != 0) return;
  do {
    const int tag = dwarf_tag(&child);
    if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block) continue;
    if (tag == DW_TAG_inlined_subroutine) {
      Dwarf_Die origin = child;
      Dwarf_Attribute attribute;
      if (dwarf_attr(&child, DW_AT_abstract_origin, &attribute) != nullptr)
        dwarf_formref_die(&attribute, &origin);
      int line = 0;
      dwarf_decl_line(&origin, &line);
      Dwarf_Addr base = 0, begin = 0, end = 0;
      for (ptrdiff_t at = 0; (at = dwarf_ranges(&child, at, &base, &begin, &end)) > 0;)
        ranges.push_back({begin, end, name_of(&child), line,
                          tidy_path(dwarf_decl_file(&origin)).ends_with(".h")});
    }
    collect_inlined(&child, ranges, depth + 1);
  } while (dwarf_siblingof(&child, &child) == 0);
}

}  // namespace

// The function whose code is at address, or null.
Dwarf_Die* DebugInfo::Data::function_at(uint64_t address) {
  if (!open()) return nullptr;
  if (!code_read) {
    code_read = true;
    for (Dwarf_Die& unit : units) {
      Dwarf_Die child;
      if (dwarf_child(&unit, &child) != 0) continue;
      do {
        if (dwarf_tag(&child) != DW_TAG_subprogram) continue;
        Dwarf_Addr base = 0, begin = 0, end = 0;
        for (ptrdiff_t at = 0; (at = dwarf_ranges(&child, at, &base, &begin, &end)) > 0;)
          code[begin] = {end, child};
      } while (dwarf_siblingof(&child, &child) == 0);
    }
  }
  auto after = code.upper_bound(address);
  if (after == code.begin()) return nullptr;
  auto& [end, die] = std::prev(after)->second;
  return address < end ? &die : nullptr;
}

std::string DebugInfo::inlined_at(const Section* section, uint64_t offset) const {
  const uint64_t address = data_->address_of(section, offset);
  Dwarf_Die* function = data_->function_at(address);
  std::vector<InlinedRange> ranges;
  if (function != nullptr) collect_inlined(function, ranges);
  for (auto range = ranges.rbegin(); range != ranges.rend(); ++range)
    if (range->begin <= address && address < range->end) return range->name;
  return "";
}

std::map<std::string, InlinedLines> DebugInfo::lines_by_inlined(const Section* section,
                                                                uint64_t begin,
                                                                uint64_t end) const {
  std::map<std::string, InlinedLines> result;
  data_->read_lines();
  const uint64_t low = data_->address_of(section, begin), high = data_->address_of(section, end);
  std::vector<InlinedRange> ranges;
  int declared = 0;
  if (Dwarf_Die* function = data_->function_at(low); function != nullptr) {
    Dwarf_Attribute attribute;
    Dwarf_Die origin = *function;
    if (dwarf_attr(function, DW_AT_abstract_origin, &attribute) != nullptr)
      dwarf_formref_die(&attribute, &origin);
    dwarf_decl_line(&origin, &declared);
    collect_inlined(function, ranges);
  }
  auto row =
      std::lower_bound(data_->rows.begin(), data_->rows.end(), low,
                       [](const Data::Row& row, uint64_t value) { return row.address < value; });
  for (; row != data_->rows.end() && row->address < high; ++row) {
    if (row->end || row->line <= 0) continue;
    auto inner = std::find_if(ranges.rbegin(), ranges.rend(), [&](const InlinedRange& range) {
      return range.begin <= row->address && row->address < range.end;
    });
    if (inner == ranges.rend()) {
      result[""].lines.insert(row->line - declared);
    } else {
      result[inner->name].lines.insert(row->line - inner->declared);
      result[inner->name].in_header = inner->in_header;
    }
  }
  return result;
}

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

const std::map<std::string, TypeLayout>& DebugInfo::types() const {
  data_->read_types();
  return data_->types;
}

const std::map<std::string, Enumerator>& DebugInfo::enumerators() const {
  data_->read_types();
  return data_->enumerators;
}

bool DebugInfo::only_on_stack(const std::string& type) const {
  data_->read_types();
  return data_->on_stack.contains(type) && !data_->held.contains(type);
}

std::string DebugInfo::function_of_variable(const Section* section, uint64_t offset) const {
  data_->read_types();
  auto found = data_->functions.find(data_->address_of(section, offset));
  return found == data_->functions.end() ? "" : found->second;
}

std::string DebugInfo::member_at(const std::string& variable, uint64_t offset) const {
  data_->read_types();
  if (data_->variables.count(variable) != 1) return "";
  return member_path(data_->variables.find(variable)->second, offset);
}

std::vector<std::string> DebugInfo::users_of(const std::string& type) const {
  data_->read_types();
  auto found = data_->users.find(type);
  if (found == data_->users.end()) return {};
  return {found->second.begin(), found->second.end()};
}

}  // namespace ksplice
