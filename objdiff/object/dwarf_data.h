// What DebugInfo has read of one object; internal to dwarf.cc (opening), dwarf_lines.cc (lines and
// inlined code), dwarf_places.cc (what must be written anew where code has another place) and
// dwarf_types.cc (types, variables, enumerators), the only users of libdw.
#pragma once

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <libelf.h>

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "objdiff/object/dwarf.h"
#include "objdiff/object/dwarf_shape.h"

namespace ksplice {

constexpr int MaxDwarfDepth = 64;  // of nested types and scopes; deeper ones are cut off

// Without a leading "./".
std::string tidy_path(const char* path);
// DW_AT_name, or "".
std::string name_of(Dwarf_Die* die);

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

  bool open();  // false if there is nothing to read
  void read_lines();
  void read_types();
  void read_storage();  // of variables and functions only: much less than the types
  void visit_storage(Dwarf_Die* scope, const std::string& function, int depth);
  void visit_scope(Dwarf_Die* scope, const std::string& function, int depth);
  void visit_function(Dwarf_Die* die, int depth);
  void visit_type(Dwarf_Die* die, const std::string& function);
  void visit_typedef(Dwarf_Die* die, const std::string& function);
  void visit_enum(Dwarf_Die* die, const std::string& function);
  void visit_variable(Dwarf_Die* die, const std::string& function);
  void add_type(Dwarf_Die* declared, std::string name, const std::string& function, Dwarf_Die type);
  Dwarf_Die* function_at(uint64_t address);  // whose code is there, or null

  uint64_t address_of(const Section* section, uint64_t offset) const {
    auto found = bases.find(section);
    return found == bases.end() ? 0 : found->second + offset;
  }

  const Object& object;
  bool has_info = false;
  bool opened = false, lines_read = false, types_read = false, storage_read = false,
       code_read = false;
  std::unordered_map<const Section*, uint64_t> bases;  // made-up addresses of sections
  std::vector<uint8_t> image;
  Elf* elf = nullptr;
  Dwarf* dwarf = nullptr;
  std::vector<Dwarf_Die> units;
  std::vector<Row> rows;
  std::map<uint64_t, std::pair<uint64_t, Dwarf_Die>> code;  // functions, by begin: end
  std::multimap<std::string, TypeLayout> types;
  std::vector<TypeLayout> found_types;
  std::vector<EnumLayout> enums;
  std::vector<Dwarf_Off> enum_places;                     // of enums
  std::unordered_map<Dwarf_Off, std::string> enum_names;  // by typedefs
  std::map<std::string, Dwarf_Die> bodies;                // of functions
  ShapeReader shapes;
  // What lives on a stack, and what something else holds or points to, by the type's place.
  std::set<Dwarf_Off> on_stack, pointed_to, held;  // pointed_to: by local variables
  std::map<Dwarf_Off, std::set<std::string>> users;
  std::map<Dwarf_Off, std::set<TypeUse>> uses;
  std::unordered_map<uint64_t, std::string> functions;  // by a variable's address
  std::unordered_map<uint64_t, uint64_t> alignments;    // the same
  std::multimap<std::string, Dwarf_Die> variables;  // with storage of their own, and their types
};

}  // namespace ksplice
