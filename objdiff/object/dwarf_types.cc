// Types with their layouts, the variables that have them, and enumerators.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "objdiff/object/dwarf_data.h"

namespace ksplice {

namespace {

bool type_of(Dwarf_Die* die, Dwarf_Die* type) {
  Dwarf_Attribute attribute;
  return dwarf_attr_integrate(die, DW_AT_type, &attribute) != nullptr &&
         dwarf_formref_die(&attribute, type) != nullptr;
}

// Through typedefs and qualifiers.
bool strip_qualifiers(Dwarf_Die* die) {
  for (int depth = 0; depth < MaxDwarfDepth; ++depth) {
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
  for (int depth = 0; depth < MaxDwarfDepth; ++depth) {
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
  if (depth > MaxDwarfDepth || !strip_qualifiers(&type)) return 0;
  const int bytes = dwarf_bytesize(&type);
  if (bytes >= 0) return static_cast<uint64_t>(bytes);
  if (dwarf_tag(&type) == DW_TAG_pointer_type) return 8;
  if (dwarf_tag(&type) != DW_TAG_array_type) return 0;
  Dwarf_Die element;
  return type_of(&type, &element) ? array_count(&type) * size_of(element, depth + 1) : 0;
}

std::string canonical(Dwarf_Die type, int depth = 0) {
  if (depth > MaxDwarfDepth || !strip_qualifiers(&type)) return "void";
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
  if (depth > MaxDwarfDepth || dwarf_child(type, &child) != 0) return;
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
  if (depth > MaxDwarfDepth || !strip_qualifiers(&type)) return "";
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
  if (depth > MaxDwarfDepth || dwarf_child(scope, &child) != 0) return;
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
