// Types as far as live memory has them: what the debug information of an object and the BTF of a
// kernel say, in one form, and what differs between two of them.
//
// A type without a name of its own goes by the path that leads to it. What an unnamed structure
// holds are members of the outer one ("list.next"); elements of an array of unnamed structures are
// "slots[].key", and what a pointer to one leads to is "cursor->at". A typedef of an unnamed
// structure is a type of its own by the typedef's name ("Node"), and a variable has the layout of
// its type ("variable state"). What a local variable without storage of its own is made of, or
// leads to, goes by that variable if it has no other name ("type of cursor"); if that is a pointer
// of a function in a .c file, it has a layout, too ("pointer cursor"), which tells to what.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ksplice {

// One member of a type. offset and size in bits.
struct TypeMember {
  std::string name;     // "" for a variable or typedef that is no structure
  uint64_t offset = 0;  // in the type, or in the element or target that its path names
  uint64_t size = 0;    // of the bit field, or of the type
  std::string type;     // canonical: "int of 4 bytes", "pointer", "struct foo", "array of 4 Node"
  // The same of an array with each dimension: "array of 4 array of 16 int of 1 bytes". BTF gives
  // none: it has their product, as type.
  std::string array;
  // What a pointer leads to: "struct foo", "int of 4 bytes", "function", "pointer to struct foo";
  // "" for void, or where it is not known. BTF gives none.
  std::string target;
  std::string prototype;  // of the function that it leads to
  // The typedef or enumeration by which it is declared, through pointers and arrays, or "": __be16.
  // BTF gives none.
  std::string alias;
  // Of a number or an array of some: "signed", "unsigned", "boolean"; else null. BTF gives none.
  const char* sign = nullptr;
};

constexpr std::string_view VariablePrefix = "variable ", LocalTypePrefix = "type of ",
                           LocalPointerPrefix = "pointer ";

// A variable or parameter that is of a type, or of pointers to it or arrays of it.
struct TypeUse {
  std::string function;  // in which it is declared, or ""
  std::string variable;  // "" for what the function returns
  auto operator<=>(const TypeUse&) const = default;
};

struct TypeLayout {
  std::string name;      // "struct foo", "union bar", "Node", "variable state", "type of cursor"
  uint64_t place = 0;    // in the debug information, of what it is made of; 0 if it is of no such
  std::string function;  // in which it is declared, or ""
  std::string file;      // where it is declared
  unsigned line = 0;
  uint64_t size = 0;       // bytes
  uint64_t alignment = 0;  // bytes that the source asks for, 0 if it does not; BTF gives none
  std::vector<TypeMember> members;
  // As far as debug information shows, some function has one on its stack, and nothing else
  // contains one, points to one or returns a pointer to one, but parameters and local variables. It
  // does not show where these point to (a list's nodes), casts (((struct foo *)private)->a) and
  // copies (memcpy()), so that live memory may have one even so.
  bool only_on_stack = false;
  std::vector<std::string> users;  // functions and variables whose declaration uses it, sorted
  std::vector<TypeUse> uses;       // sorted
};

// The members that differ, in the order of their names. One that has another name in the same place
// is not among them.
struct LayoutChange {
  struct Change {
    const TypeMember *was, *is;
  };
  std::vector<const TypeMember*> fresh, gone;  // of post, of pre
  std::vector<Change> moved;
  std::vector<Change> altered;  // in the same place, of another shape
  bool empty() const { return fresh.empty() && gone.empty() && moved.empty() && altered.empty(); }
};
// pre and post must outlive the answer.
LayoutChange compare_layouts(const TypeLayout& pre, const TypeLayout& post);

// What differs between a member and one at the same place, or "".
std::string member_difference(const TypeMember& pre, const TypeMember& post);
// Of the array or pointer in whose elements or target a member lies: "slots" of "slots[].key"; or
// "".
std::string outer_of(const std::string& name);
// "int of 4 bytes" of "array of 8 int of 4 bytes", or "".
std::string elements_of(const std::string& type);
// As a person reads it: "array of 4 array of 16 int of 1 bytes".
const std::string& shown_type(const TypeMember& member);

// What makes code that was compiled for pre wrong for post, in words, or "". A new name for the
// same place does not.
std::string layout_difference(const TypeLayout& pre, const TypeLayout& post);

// The same of the alignment that debug information tells. That of a variable, which stays where it
// is, is no matter of its type.
std::string alignment_difference(const TypeLayout& pre, const TypeLayout& post);

// Members that lead to functions of another prototype now, in words each.
std::vector<std::string> prototype_differences(const TypeLayout& pre, const TypeLayout& post);

// Members of one place and shape that mean something else, perhaps: another name, another typedef
// (__be16, u16). In words each.
std::vector<std::string> meaning_differences(const TypeLayout& pre, const TypeLayout& post);

struct EnumLayout {
  std::string name;      // "enum foo", a typedef's name, or ""
  std::string function;  // in which it is declared, or ""
  std::string file;      // where it is declared
  unsigned line = 0;
  bool is_type = false;  // it has a name, or something is of this type
  std::vector<std::pair<std::string, int64_t>> values;  // in their order
};

// How a value that live memory may hold means something else now, in words, or "". One more value
// at the end does not. For a list of mere constants (no type), only a value that is another's does.
std::string enum_difference(const EnumLayout& pre, const EnumLayout& post);

}  // namespace ksplice
