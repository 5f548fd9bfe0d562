// The shape of one type in debug information; internal to dwarf_types.cc. A type without a name
// goes by the path that leads to it (type_layout.h).
#pragma once

#include <dwarf.h>
#include <elfutils/libdw.h>

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "objdiff/object/dwarf.h"

namespace ksplice {

bool type_of(Dwarf_Die* die, Dwarf_Die* type);
// Through typedefs and qualifiers; false for void. name: of the innermost typedef, if there is one.
bool strip_qualifiers(Dwarf_Die* die, std::string* name = nullptr);
bool is_aggregate(int tag);
uint64_t size_of(Dwarf_Die type, int depth = 0);
// The bytes that the source asks for (DWARF 5 2.24), by a typedef or by the structure itself; 0 if
// it does not.
uint64_t alignment_of(Dwarf_Die type);
// Of an array; 0 for one without a bound.
std::vector<uint64_t> dimensions_of(Dwarf_Die* array);
// Whether a variable of the type is never written, through arrays.
bool is_constant(Dwarf_Die type);

// The structure, union or enumeration that a type is made of, through pointers and arrays.
struct CoreType {
  Dwarf_Die die = {};
  std::string alias;      // the innermost typedef on the way
  bool pointer = false;   // on the way
  bool indirect = false;  // a pointer or an array is on the way

  Dwarf_Off place() const {
    Dwarf_Die copy = die;
    return dwarf_dieoffset(&copy);
  }
  bool has_name() const {
    Dwarf_Die copy = die;
    return dwarf_hasattr(&copy, DW_AT_name) != 0;
  }
  int tag() const {
    Dwarf_Die copy = die;
    return dwarf_tag(&copy);
  }
};
std::optional<CoreType> core_type(Dwarf_Die type);

// "struct foo", or "" for one without a name.
std::string tag_name(Dwarf_Die type);

// Reads members, and remembers the shapes of types that many share.
class ShapeReader {
 public:
  // Those of a type, or what a variable of it is.
  std::vector<TypeMember> members_of(Dwarf_Die type);

 private:
  struct Shape {
    TypeMember leaf;               // without name and place
    bool unnamed = false;          // an unnamed structure or union, perhaps by a typedef
    std::optional<CoreType> path;  // to an unnamed one behind pointers and arrays, by no typedef
    std::string suffix;            // of that path: "[]", "->"
  };
  const Shape& shape_of(Dwarf_Die type);
  void add(Dwarf_Die type, const std::string& name, uint64_t offset, int depth);
  void add_children(Dwarf_Die aggregate, const std::string& name, uint64_t offset, int depth);

  std::unordered_map<Dwarf_Off, Shape> known_;
  std::vector<TypeMember> members_;
};

// function: a subprogram or the type of one.
Prototype prototype_of(Dwarf_Die function, int depth = 0);

}  // namespace ksplice
