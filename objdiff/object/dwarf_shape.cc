#include "objdiff/object/dwarf_shape.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "objdiff/object/dwarf_data.h"

namespace ksplice {

namespace {

uint64_t number(Dwarf_Die* die, unsigned name, bool* found = nullptr) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  const bool ok =
      dwarf_attr(die, name, &attribute) != nullptr && dwarf_formudata(&attribute, &value) == 0;
  if (found != nullptr) *found = ok;
  return ok ? value : 0;
}

}  // namespace

std::vector<uint64_t> dimensions_of(Dwarf_Die* array) {
  std::vector<uint64_t> dimensions;
  Dwarf_Die child;
  if (dwarf_child(array, &child) != 0) return {0};
  do {
    if (dwarf_tag(&child) != DW_TAG_subrange_type) continue;
    bool found = false;
    uint64_t value = number(&child, DW_AT_count, &found);
    if (!found) value = number(&child, DW_AT_upper_bound, &found) + 1;
    dimensions.push_back(found ? value : 0);
  } while (dwarf_siblingof(&child, &child) == 0);
  return dimensions;
}

namespace {

uint64_t array_count(Dwarf_Die* array) {
  uint64_t count = 1;
  for (const uint64_t dimension : dimensions_of(array)) count *= dimension;
  return count;
}

const char* tag_word(int tag) {
  return tag == DW_TAG_union_type ? "union" : tag == DW_TAG_enumeration_type ? "enum" : "struct";
}

// As TypeMember::type, and as TypeMember::array if that is wanted.
enum class Dimensions { Joined, Each };
std::string canonical(Dwarf_Die type, Dimensions dimensions = Dimensions::Each, int depth = 0) {
  std::string alias;
  if (depth > MaxDwarfDepth || !strip_qualifiers(&type, &alias)) return "void";
  const int tag = dwarf_tag(&type);
  switch (tag) {
    case DW_TAG_pointer_type:
      return "pointer";
    case DW_TAG_enumeration_type:
      return fmt::format("int of {} bytes", size_of(type));
    case DW_TAG_base_type:
      return fmt::format("{} of {} bytes",
                         number(&type, DW_AT_encoding) == DW_ATE_float ? "float" : "int",
                         size_of(type));
    case DW_TAG_array_type: {
      Dwarf_Die element;
      if (!type_of(&type, &element)) return "array";
      std::string text = canonical(element, dimensions, depth + 1);
      if (dimensions == Dimensions::Joined)
        return fmt::format("array of {} {}", array_count(&type), text);
      const std::vector<uint64_t> counts = dimensions_of(&type);
      for (auto count = counts.rbegin(); count != counts.rend(); ++count)
        text = fmt::format("array of {} {}", *count, text);
      return text;
    }
    case DW_TAG_structure_type:
    case DW_TAG_union_type: {
      const std::string name = name_of(&type);
      if (name.empty() && !alias.empty()) return alias;
      return fmt::format("{} {}", tag_word(tag),
                         name.empty() ? fmt::format("of {} bytes", size_of(type)) : name);
    }
    case DW_TAG_subroutine_type:
      return "function";
    default:
      return fmt::format("tag {:#x}", tag);
  }
}

// What a pointer (or the elements of an array of pointers) leads to, as TypeMember::target.
std::string target_of(Dwarf_Die type, std::string* prototype) {
  for (int depth = 0; depth < MaxDwarfDepth; ++depth) {
    if (!strip_qualifiers(&type)) return "";
    const int tag = dwarf_tag(&type);
    if (tag != DW_TAG_pointer_type && tag != DW_TAG_array_type) return "";
    Dwarf_Die next;
    if (!type_of(&type, &next)) return "";
    type = next;
    if (tag == DW_TAG_pointer_type) break;
  }
  std::string text = canonical(type);
  if (text == "pointer")
    text = fmt::format("pointer to {}", target_of(type, prototype));
  else if (text == "function" && strip_qualifiers(&type) && prototype != nullptr)
    *prototype = prototype_of(type, 1).text;
  // Unnamed structures are looked into by their path.
  const bool is_unnamed = text.starts_with("struct of ") || text.starts_with("union of ");
  return text == "void" || is_unnamed ? "" : text;
}

// The same for callers, who may give any memory as bytes.
std::string loose_target_of(Dwarf_Die type) {
  const std::string text = target_of(type, nullptr);
  return text.ends_with("pointer to ") || text.ends_with("int of 1 bytes") ? "" : text;
}

// As TypeMember::alias.
std::string alias_of(Dwarf_Die type) {
  for (int depth = 0; depth < MaxDwarfDepth; ++depth) {
    const int tag = dwarf_tag(&type);
    if (tag == DW_TAG_typedef) return name_of(&type);
    if (tag == DW_TAG_enumeration_type) return tag_name(type);
    Dwarf_Die next;
    if (is_aggregate(tag) || tag == DW_TAG_subroutine_type || !type_of(&type, &next)) return "";
    type = next;
  }
  return "";
}

// As TypeMember::sign.
const char* sign_of(Dwarf_Die type) {
  for (int depth = 0; depth < MaxDwarfDepth && strip_qualifiers(&type); ++depth) {
    const int tag = dwarf_tag(&type);
    Dwarf_Die next;
    if (tag == DW_TAG_base_type) break;
    if (tag != DW_TAG_array_type || !type_of(&type, &next)) return nullptr;
    type = next;
  }
  switch (dwarf_tag(&type) == DW_TAG_base_type ? number(&type, DW_AT_encoding) : 0) {
    case DW_ATE_signed:
    case DW_ATE_signed_char:
      return "signed";
    case DW_ATE_unsigned:
    case DW_ATE_unsigned_char:
      return "unsigned";
    case DW_ATE_boolean:
      return "boolean";
    default:
      return nullptr;
  }
}

std::string written(Dwarf_Die type, int depth) {
  if (depth > MaxDwarfDepth) return "...";
  const int tag = dwarf_tag(&type);
  const std::string name = name_of(&type);
  if (tag == DW_TAG_typedef || tag == DW_TAG_base_type) return name;
  if (is_aggregate(tag) || tag == DW_TAG_enumeration_type)
    return fmt::format("{} {}", tag_word(tag),
                       name.empty() ? fmt::format("of {} bytes", size_of(type)) : name);
  if (tag == DW_TAG_subroutine_type) return prototype_of(type, depth + 1).text;
  Dwarf_Die inner;
  const std::string of = type_of(&type, &inner) ? written(inner, depth + 1) : "void";
  switch (tag) {
    case DW_TAG_pointer_type:
      return of + (of.ends_with('*') ? "*" : " *");
    case DW_TAG_array_type:
      return fmt::format("{} [{}]", of, fmt::join(dimensions_of(&type), "]["));
    case DW_TAG_const_type:
      return of.ends_with('*') ? of + " const" : "const " + of;
    case DW_TAG_volatile_type:
      return "volatile " + of;
    default:
      return of;
  }
}

}  // namespace

bool type_of(Dwarf_Die* die, Dwarf_Die* type) {
  Dwarf_Attribute attribute;
  return dwarf_attr_integrate(die, DW_AT_type, &attribute) != nullptr &&
         dwarf_formref_die(&attribute, type) != nullptr;
}

bool strip_qualifiers(Dwarf_Die* die, std::string* name) {
  for (int depth = 0; depth < MaxDwarfDepth; ++depth) {
    switch (dwarf_tag(die)) {
      case DW_TAG_typedef:
        if (name != nullptr) *name = name_of(die);
        [[fallthrough]];
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

bool is_aggregate(int tag) { return tag == DW_TAG_structure_type || tag == DW_TAG_union_type; }

uint64_t size_of(Dwarf_Die type, int depth) {
  if (depth > MaxDwarfDepth || !strip_qualifiers(&type)) return 0;
  const int bytes = dwarf_bytesize(&type);
  if (bytes >= 0) return static_cast<uint64_t>(bytes);
  if (dwarf_tag(&type) == DW_TAG_pointer_type) return 8;
  if (dwarf_tag(&type) != DW_TAG_array_type) return 0;
  Dwarf_Die element;
  return type_of(&type, &element) ? array_count(&type) * size_of(element, depth + 1) : 0;
}

uint64_t alignment_of(Dwarf_Die type) {
  uint64_t largest = 0;
  for (int depth = 0; depth < MaxDwarfDepth; ++depth) {
    largest = std::max(largest, number(&type, DW_AT_alignment));
    const int tag = dwarf_tag(&type);
    Dwarf_Die next;
    const bool is_behind = tag == DW_TAG_pointer_type || is_aggregate(tag);
    if (is_behind || !type_of(&type, &next)) break;
    type = next;
  }
  return largest;
}

bool is_constant(Dwarf_Die type) {
  for (int depth = 0; depth < MaxDwarfDepth; ++depth) {
    const int tag = dwarf_tag(&type);
    if (tag == DW_TAG_const_type) return true;
    Dwarf_Die next;
    const bool more =
        tag == DW_TAG_typedef || tag == DW_TAG_volatile_type || tag == DW_TAG_array_type;
    if (!more || !type_of(&type, &next)) return false;
    type = next;
  }
  return false;
}

std::optional<CoreType> core_type(Dwarf_Die type) {
  CoreType core;
  for (int depth = 0; depth < MaxDwarfDepth; ++depth) {
    if (!strip_qualifiers(&type, &core.alias)) return std::nullopt;
    const int tag = dwarf_tag(&type);
    if (is_aggregate(tag) || tag == DW_TAG_enumeration_type) {
      core.die = type;
      return core;
    }
    if (tag != DW_TAG_pointer_type && tag != DW_TAG_array_type) return std::nullopt;
    core.indirect = true;
    core.pointer |= tag == DW_TAG_pointer_type;
    Dwarf_Die next;
    if (!type_of(&type, &next)) return std::nullopt;
    type = next;
  }
  return std::nullopt;
}

std::string tag_name(Dwarf_Die type) {
  const std::string name = name_of(&type);
  return name.empty() ? "" : fmt::format("{} {}", tag_word(dwarf_tag(&type)), name);
}

const ShapeReader::Shape& ShapeReader::shape_of(Dwarf_Die type) {
  auto [found, is_new] = known_.try_emplace(dwarf_dieoffset(&type));
  Shape& shape = found->second;
  if (!is_new) return shape;
  shape.leaf.type = canonical(type, Dimensions::Joined);
  if (shape.leaf.type.starts_with("array")) shape.leaf.array = canonical(type);
  shape.leaf.alias = alias_of(type);
  shape.leaf.sign = sign_of(type);
  shape.leaf.size = size_of(type) * 8;
  shape.leaf.target = target_of(type, &shape.leaf.prototype);
  std::optional<CoreType> core = core_type(type);
  if (!core || !is_aggregate(core->tag()) || core->has_name()) return shape;
  shape.unnamed = !core->indirect;
  if (!core->indirect || !core->alias.empty()) return shape;
  shape.path = core;
  shape.suffix = core->pointer ? "->" : "[]";
  return shape;
}

void ShapeReader::add(Dwarf_Die type, const std::string& name, uint64_t offset, int depth) {
  if (depth > MaxDwarfDepth) return;
  const Shape& shape = shape_of(type);
  if (shape.unnamed) {
    strip_qualifiers(&type);
    add_children(type, name, offset, depth);
    return;
  }
  TypeMember& member = members_.emplace_back(shape.leaf);
  member.name = name;
  member.offset = offset;
  if (!shape.path) return;
  // The size of an element is its stride.
  const std::string path = name + shape.suffix;
  TypeMember& element = members_.emplace_back();
  element.name = path;
  element.size = size_of(shape.path->die) * 8;
  element.type = "element";
  add_children(shape.path->die, path, 0, depth);
}

void ShapeReader::add_children(Dwarf_Die aggregate, const std::string& name, uint64_t offset,
                               int depth) {
  Dwarf_Die child;
  if (dwarf_child(&aggregate, &child) != 0) return;
  do {
    Dwarf_Die type;
    if (dwarf_tag(&child) != DW_TAG_member || !type_of(&child, &type)) continue;
    const std::string own = name_of(&child);
    const bool dot = !name.empty() && !own.empty() && !name.ends_with("->");
    const std::string path = name + (dot ? "." : "") + own;
    bool is_bits = false, has_width = false;
    uint64_t place = number(&child, DW_AT_data_member_location) * 8;
    if (const uint64_t bits = number(&child, DW_AT_data_bit_offset, &is_bits); is_bits)
      place = bits;
    const uint64_t width = number(&child, DW_AT_bit_size, &has_width);
    if (!has_width) {
      add(type, path, offset + place, depth + 1);
      continue;
    }
    TypeMember& member = members_.emplace_back(shape_of(type).leaf);
    // DWARF 3: counted from the most significant bit of the storage unit.
    const uint64_t from_top = number(&child, DW_AT_bit_offset);
    if (!is_bits && member.size >= from_top + width) place += member.size - from_top - width;
    member.name = path;
    member.offset = offset + place;
    member.size = width;
  } while (dwarf_siblingof(&child, &child) == 0);
}

std::vector<TypeMember> ShapeReader::members_of(Dwarf_Die type) {
  members_.clear();
  if (is_aggregate(dwarf_tag(&type)))
    add_children(type, "", 0, 0);
  else
    add(type, "", 0, 0);
  return std::move(members_);
}

Prototype prototype_of(Dwarf_Die function, int depth) {
  auto shape = [](Dwarf_Die type) {
    std::string text = canonical(type);
    return text == "pointer" ? "pointer to " + loose_target_of(type) : text;
  };
  Prototype result;
  Dwarf_Die type, child;
  const bool returns = type_of(&function, &type);
  result.text = returns ? written(type, depth) : "void";
  result.shape = returns ? shape(type) : "void";
  std::vector<std::string> texts, shapes;
  if (dwarf_child(&function, &child) == 0) do {
      const int tag = dwarf_tag(&child);
      if (tag == DW_TAG_unspecified_parameters) texts.push_back("...");
      if (tag != DW_TAG_formal_parameter || !type_of(&child, &type)) continue;
      texts.push_back(written(type, depth));
      shapes.push_back(shape(type));
    } while (dwarf_siblingof(&child, &child) == 0);
  result.text += fmt::format(" ({})", fmt::join(texts, ", "));
  result.shape += fmt::format(" ({})", fmt::join(shapes, ", "));
  return result;
}

}  // namespace ksplice
