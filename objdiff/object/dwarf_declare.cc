#include "objdiff/object/dwarf_declare.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

namespace ksplice {

namespace {

std::string declare(Dwarf_Die type, const std::string& inner, int depth);

std::string declare_next(Dwarf_Die* die, const std::string& inner, int depth) {
  Dwarf_Die type;
  if (type_of(die, &type)) return declare(type, inner, depth + 1);
  return inner.empty() ? "void" : "void " + inner;
}

std::string parameters(Dwarf_Die function, int depth) {
  std::vector<std::string> texts;
  Dwarf_Die child;
  if (dwarf_child(&function, &child) == 0) do {
      if (dwarf_tag(&child) == DW_TAG_unspecified_parameters) texts.push_back("...");
      if (dwarf_tag(&child) != DW_TAG_formal_parameter) continue;
      texts.push_back(declare_next(&child, "", depth));
      if (texts.back().empty()) return "";
    } while (dwarf_siblingof(&child, &child) == 0);
  return texts.empty() ? "void" : fmt::format("{}", fmt::join(texts, ", "));
}

// Of an array or a function, whose declarator binds closer than a pointer's.
std::string in_brackets(const std::string& inner) {
  return inner.starts_with('*') ? "(" + inner + ")" : inner;
}

std::string declare(Dwarf_Die type, const std::string& inner, int depth) {
  if (depth > MaxDwarfDepth) return "";
  const std::string gap = inner.empty() ? "" : " ";
  switch (dwarf_tag(&type)) {
    case DW_TAG_typedef:
    case DW_TAG_base_type:
      return name_of(&type) + gap + inner;
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
    case DW_TAG_enumeration_type:
      return name_of(&type).empty() ? "" : tag_name(type) + gap + inner;
    case DW_TAG_pointer_type:
      return declare_next(&type, "*" + inner, depth);
    case DW_TAG_array_type: {
      std::string text = in_brackets(inner);
      for (uint64_t count : dimensions_of(&type))
        text += count == 0 ? "[]" : fmt::format("[{}]", count);
      return declare_next(&type, text, depth);
    }
    case DW_TAG_subroutine_type: {
      const std::string list = parameters(type, depth);
      return list.empty() ? "" : declare_next(&type, in_brackets(inner) + "(" + list + ")", depth);
    }
    case DW_TAG_const_type:
    case DW_TAG_volatile_type: {
      // Of a pointer it stands behind the star.
      const char* word = dwarf_tag(&type) == DW_TAG_const_type ? "const" : "volatile";
      Dwarf_Die next;
      if (type_of(&type, &next) && dwarf_tag(&next) == DW_TAG_pointer_type)
        return declare(next, word + gap + inner, depth + 1);
      const std::string text = declare_next(&type, inner, depth);
      return text.empty() ? "" : fmt::format("{} {}", word, text);
    }
    default:
      return declare_next(&type, inner, depth);
  }
}

}  // namespace

std::string declaration_of(Dwarf_Die type, const std::string& name) {
  return declare(type, name, 0);
}

}  // namespace ksplice
