// Types with their layouts, the variables that have them, and enumerators.
#include <fmt/core.h>

#include <algorithm>

#include "objdiff/object/dwarf_data.h"
#include "objdiff/object/dwarf_declare.h"

namespace ksplice {

namespace {

uint64_t place_of(Dwarf_Die* member) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  if (dwarf_attr(member, DW_AT_data_member_location, &attribute) != nullptr)
    dwarf_formudata(&attribute, &value);
  return value;
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
    const uint64_t begin = place_of(&child);
    if (!type_of(&child, &member) || offset < begin || offset - begin >= size_of(member)) continue;
    const std::string name = name_of(&child);
    return (name.empty() ? "" : "." + name) + member_path(member, offset - begin, depth + 1);
  } while (dwarf_siblingof(&child, &child) == 0);
  return "";
}

// As DebugInfo::declaration(). path: of members' names, in which unnamed ones do not show.
std::string declare_member(Dwarf_Die* aggregate, std::string_view path, int depth = 0) {
  Dwarf_Die child, type;
  if (depth > MaxDwarfDepth || dwarf_child(aggregate, &child) != 0) return "";
  do {
    if (dwarf_tag(&child) != DW_TAG_member || !type_of(&child, &type)) continue;
    const std::string name = name_of(&child);
    std::string_view rest = path;
    if (name == path) {
      const std::string text = declaration_of(type, name);
      Dwarf_Attribute attribute;
      Dwarf_Word width = 0;
      const bool is_bits = dwarf_attr(&child, DW_AT_bit_size, &attribute) != nullptr &&
                           dwarf_formudata(&attribute, &width) == 0;
      return is_bits && !text.empty() ? fmt::format("{} : {}", text, width) : text;
    }
    if (!name.empty()) {
      if (!path.starts_with(name + ".")) continue;
      rest = path.substr(name.size() + 1);
    }
    if (!strip_qualifiers(&type) || !is_aggregate(dwarf_tag(&type))) continue;
    if (std::string text = declare_member(&type, rest, depth + 1); !text.empty()) return text;
  } while (dwarf_siblingof(&child, &child) == 0);
  return "";
}

// The value of an enumerator of a type of that many bytes.
std::optional<int64_t> enumerator_value(Dwarf_Die* die, uint64_t size) {
  Dwarf_Attribute attribute;
  if (dwarf_tag(die) != DW_TAG_enumerator ||
      dwarf_attr(die, DW_AT_const_value, &attribute) == nullptr)
    return std::nullopt;
  // Only these forms have a sign; a byte of 159 is just that.
  const unsigned form = dwarf_whatform(&attribute);
  Dwarf_Sword value = 0;
  Dwarf_Word word = 0;
  if (form == DW_FORM_sdata || form == DW_FORM_implicit_const)
    dwarf_formsdata(&attribute, &value);
  else if (dwarf_formudata(&attribute, &word) == 0)
    value = static_cast<Dwarf_Sword>(word);
  else
    return std::nullopt;
  // Of 4 bytes, a value says nothing about its sign.
  return size <= 4 ? static_cast<int32_t>(value) : value;
}

// Whether a variable has storage of its own, and where.
bool storage_of(Dwarf_Die* variable, uint64_t* address) {
  Dwarf_Attribute attribute;
  Dwarf_Op* ops = nullptr;
  size_t count = 0;
  if (dwarf_attr(variable, DW_AT_location, &attribute) == nullptr ||
      dwarf_getlocation(&attribute, &ops, &count) != 0 || count == 0)
    return false;
  *address = ops[0].number;
  if (ops[0].atom == DW_OP_addr) return true;
  Dwarf_Attribute listed;  // in .debug_addr, as clang does
  return ops[0].atom == DW_OP_addrx && dwarf_getlocation_attr(&attribute, &ops[0], &listed) == 0 &&
         dwarf_formaddr(&listed, address) == 0;
}

bool is_pointer(Dwarf_Die type) {
  return strip_qualifiers(&type) && dwarf_tag(&type) == DW_TAG_pointer_type;
}

// Of a variable, which may be declared elsewhere.
uint64_t own_alignment(Dwarf_Die* variable) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  if (dwarf_attr_integrate(variable, DW_AT_alignment, &attribute) == nullptr ||
      dwarf_formudata(&attribute, &value) != 0)
    return 0;
  return value;
}

}  // namespace

void DebugInfo::Data::add_type(Dwarf_Die* declared, std::string name, const std::string& function,
                               Dwarf_Die type) {
  TypeLayout layout;
  layout.name = std::move(name);
  layout.function = function;
  layout.file = tidy_path(dwarf_decl_file(declared));
  int line = 0;
  if (dwarf_decl_line(declared, &line) == 0) layout.line = static_cast<unsigned>(line);
  layout.size = size_of(type);
  layout.alignment = alignment_of(type);
  layout.members = shapes.members_of(type);
  const std::optional<CoreType> core = core_type(type);
  layout.place = core ? core->place() : 0;
  found_types.push_back(std::move(layout));
}

void DebugInfo::Data::visit_type(Dwarf_Die* die, const std::string& function) {
  Dwarf_Die child, type;
  if (dwarf_child(die, &child) == 0) {
    do {
      if (dwarf_tag(&child) == DW_TAG_member && type_of(&child, &type))
        if (auto core = core_type(type)) held.insert(core->place());
    } while (dwarf_siblingof(&child, &child) == 0);
  }
  if (!name_of(die).empty() && !dwarf_hasattr(die, DW_AT_declaration))
    add_type(die, tag_name(*die), function, *die);
}

// One of an unnamed type gives it its name.
void DebugInfo::Data::visit_typedef(Dwarf_Die* die, const std::string& function) {
  Dwarf_Die type;
  if (!type_of(die, &type)) return;
  const std::optional<CoreType> core = core_type(type);
  if (!core || core->has_name() || !core->alias.empty()) return;
  if (is_aggregate(core->tag()))
    add_type(die, name_of(die), function, type);
  else
    enum_names[core->place()] = name_of(die);
}

void DebugInfo::Data::visit_enum(Dwarf_Die* die, const std::string& function) {
  Dwarf_Die child;
  if (dwarf_child(die, &child) != 0) return;
  EnumLayout layout;
  layout.name = tag_name(*die);
  layout.function = function;
  layout.file = tidy_path(dwarf_decl_file(die));
  int line = 0;
  if (dwarf_decl_line(die, &line) == 0) layout.line = static_cast<unsigned>(line);
  const uint64_t size = size_of(*die);
  do {
    if (auto value = enumerator_value(&child, size))
      layout.values.emplace_back(name_of(&child), *value);
  } while (dwarf_siblingof(&child, &child) == 0);
  enum_places.push_back(dwarf_dieoffset(die));
  enums.push_back(std::move(layout));
}

void DebugInfo::Data::visit_variable(Dwarf_Die* die, const std::string& function) {
  Dwarf_Die type;
  if (!type_of(die, &type)) return;
  const std::string name = name_of(die);
  const bool is_parameter = dwarf_tag(die) == DW_TAG_formal_parameter;
  uint64_t address = 0;
  const bool is_stored = storage_of(die, &address);
  const bool is_static = is_stored || function.empty() || dwarf_hasattr(die, DW_AT_external);
  if (is_static && !name.empty() && !is_constant(type))
    add_type(die, std::string(VariablePrefix) + name, function, type);
  const std::optional<CoreType> core = core_type(type);
  const bool is_unnamed =
      core && is_aggregate(core->tag()) && !core->has_name() && core->alias.empty();
  // An inlined function's are seen where it is declared.
  const bool is_own = !is_static && !name.empty() && !dwarf_hasattr(die, DW_AT_abstract_origin);
  if (is_own && is_unnamed)
    add_type(die, std::string(LocalTypePrefix) + name, function, core->die);
  else if (is_own && !is_parameter && is_pointer(type) &&
           tidy_path(dwarf_decl_file(die)).ends_with(".c"))
    add_type(die, std::string(LocalPointerPrefix) + name, function, type);
  if (!core) return;
  const Dwarf_Off place = core->place();
  users[place].insert(is_static ? name : function);
  if (!name.empty()) uses[place].insert({function, name});
  if (is_static)
    held.insert(place);
  else
    (core->indirect ? pointed_to : on_stack).insert(place);
}

void DebugInfo::Data::visit_function(Dwarf_Die* die, int depth) {
  Dwarf_Die type;
  if (type_of(die, &type)) {
    if (auto core = core_type(type)) {
      if (core->pointer) held.insert(core->place());
      uses[core->place()].insert({name_of(die), ""});
    }
  }
  visit_scope(die, name_of(die), depth + 1);
}

void DebugInfo::Data::visit_scope(Dwarf_Die* scope, const std::string& function, int depth) {
  Dwarf_Die child;
  if (depth > MaxDwarfDepth || dwarf_child(scope, &child) != 0) return;
  do {
    switch (dwarf_tag(&child)) {
      case DW_TAG_structure_type:
      case DW_TAG_union_type:
        visit_type(&child, function);
        break;
      case DW_TAG_typedef:
        visit_typedef(&child, function);
        break;
      case DW_TAG_enumeration_type:
        visit_enum(&child, function);
        break;
      case DW_TAG_subprogram:
        visit_function(&child, depth);
        break;
      case DW_TAG_lexical_block:
        visit_scope(&child, function, depth + 1);
        break;
      case DW_TAG_variable:
      case DW_TAG_formal_parameter:
        visit_variable(&child, function);
        break;
      default:
        break;
    }
  } while (dwarf_siblingof(&child, &child) == 0);
}

void DebugInfo::Data::visit_storage(Dwarf_Die* scope, const std::string& function, int depth) {
  Dwarf_Die child;
  if (depth > MaxDwarfDepth || dwarf_child(scope, &child) != 0) return;
  do {
    const int tag = dwarf_tag(&child);
    uint64_t address = 0;
    if (tag == DW_TAG_subprogram) {
      const std::string name = name_of(&child);
      if (!name.empty() && !dwarf_hasattr(&child, DW_AT_declaration)) bodies.emplace(name, child);
      visit_storage(&child, name, depth + 1);
    } else if (tag == DW_TAG_lexical_block) {
      visit_storage(&child, function, depth + 1);
    } else if (tag == DW_TAG_variable && storage_of(&child, &address)) {
      functions.emplace(address, function);
      Dwarf_Die type;
      if (!type_of(&child, &type)) continue;
      variables.emplace(name_of(&child), type);
      alignments[address] = std::max(alignment_of(type), own_alignment(&child));
    }
  } while (dwarf_siblingof(&child, &child) == 0);
}

void DebugInfo::Data::read_storage() {
  if (storage_read) return;
  storage_read = true;
  if (!open()) return;
  for (Dwarf_Die& unit : units) visit_storage(&unit, "", 0);
}

void DebugInfo::Data::read_types() {
  if (types_read) return;
  types_read = true;
  if (!open()) return;
  for (Dwarf_Die& unit : units) visit_scope(&unit, "", 0);
  for (TypeLayout& layout : found_types) {
    const uint64_t place = layout.place;
    layout.only_on_stack = on_stack.contains(place) && !held.contains(place);
    if (auto found = users.find(place); place != 0 && found != users.end())
      layout.users.assign(found->second.begin(), found->second.end());
    if (auto found = uses.find(place); place != 0 && found != uses.end())
      layout.uses.assign(found->second.begin(), found->second.end());
    const std::string name = layout.name;
    types.emplace(name, std::move(layout));
  }
  found_types.clear();
  for (size_t i = 0; i < enums.size(); ++i) {
    if (auto found = enum_names.find(enum_places[i]); found != enum_names.end())
      enums[i].name = found->second;
    enums[i].is_type = !enums[i].name.empty() || held.contains(enum_places[i]) ||
                       on_stack.contains(enum_places[i]) || pointed_to.contains(enum_places[i]);
  }
}

const std::multimap<std::string, TypeLayout>& DebugInfo::types() const {
  data_->read_types();
  return data_->types;
}

const std::vector<EnumLayout>& DebugInfo::enums() const {
  data_->read_types();
  return data_->enums;
}

std::string DebugInfo::declaration(const TypeLayout& layout, const std::string& member) const {
  data_->read_types();
  Dwarf_Die aggregate;
  if (data_->dwarf == nullptr || layout.place == 0 ||
      dwarf_offdie(data_->dwarf, layout.place, &aggregate) == nullptr)
    return "";
  return declare_member(&aggregate, member);
}

std::optional<Prototype> DebugInfo::prototype(const std::string& function) const {
  data_->read_storage();
  auto found = data_->bodies.find(function);
  return found == data_->bodies.end() ? std::nullopt : std::optional(prototype_of(found->second));
}

std::string DebugInfo::function_of_variable(const Section* section, uint64_t offset) const {
  data_->read_storage();
  auto found = data_->functions.find(data_->address_of(section, offset));
  return found == data_->functions.end() ? "" : found->second;
}

uint64_t DebugInfo::alignment_of_variable(const Section* section, uint64_t offset) const {
  data_->read_storage();
  auto found = data_->alignments.find(data_->address_of(section, offset));
  return found == data_->alignments.end() ? 0 : found->second;
}

std::string DebugInfo::member_at(const std::string& variable, uint64_t offset) const {
  data_->read_storage();
  if (data_->variables.count(variable) != 1) return "";
  return member_path(data_->variables.find(variable)->second, offset);
}

}  // namespace ksplice
