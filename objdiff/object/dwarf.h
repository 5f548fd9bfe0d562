// What the debug information of an object says. The only user of libdw.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "objdiff/object/object.h"
#include "objdiff/object/type_layout.h"

namespace ksplice {

struct SourceLine {
  std::string file;  // as the compiler was given it, without a leading source folder
  unsigned line = 0;
};

// The type of a function: as it is written, without its parameters' names, and as far as callers
// and callee must agree.
struct Prototype {
  std::string text;  // "int (struct inode *, gfp_t)"
  std::string shape;
};

// The lines of an inlined function that have code, counted from its declaration.
struct InlinedLines {
  std::set<int> lines;
  bool in_header = false;
};

// Where in .debug_info it stands where code and variables are; offsets in that section.
struct DebugPlaces {
  struct Code {
    uint64_t begin = 0;   // of the address (DW_AT_low_pc)
    uint64_t length = 0;  // of the size (DW_AT_high_pc as a number)
    uint8_t length_size = 0;
  };
  std::vector<Code> code;
  std::vector<uint64_t> variables;  // expressions that are an address and nothing else
};

// Reads an object's .debug_* sections. Every query gives an empty answer when there are none.
class DebugInfo {
 public:
  // object must outlive this. Malformed debug information counts as none.
  explicit DebugInfo(const Object& object);
  ~DebugInfo();
  DebugInfo(const DebugInfo&) = delete;
  DebugInfo& operator=(const DebugInfo&) = delete;

  bool present() const;
  // The row of the line table that covers offset in section.
  std::optional<SourceLine> line_at(const Section* section, uint64_t offset) const;
  // Whether an instruction at or shortly behind offset, before end, belongs to that line.
  bool has_line(const Section* section, uint64_t begin, uint64_t end, unsigned line,
                uint64_t offset) const;
  // The innermost function that is inlined at offset, or "".
  std::string inlined_at(const Section* section, uint64_t offset) const;
  // The source lines of a function's code by the function inlined there (innermost, "" for its
  // own), counted from that function's declaration, so that code further up does not matter.
  std::map<std::string, InlinedLines> lines_by_inlined(const Section* section, uint64_t begin,
                                                       uint64_t end) const;
  // What compiled the unit, with its options (DW_AT_producer), or "".
  std::string producer() const;
  DebugPlaces places() const;
  // Whether the unit was written in assembly (DW_LANG_Mips_Assembler).
  bool is_assembly() const;
  // Structures, unions, typedefs of unnamed ones, and variables that are not constant, by name; of
  // one name there may be several, in functions of their own.
  const std::multimap<std::string, TypeLayout>& types() const;
  const std::vector<EnumLayout>& enums() const;
  // A member of one of types() as it would be declared outside of it: "struct list_head node", "u8
  // flags : 3"; "" where it cannot be written again.
  std::string declaration(const TypeLayout& layout, const std::string& member) const;
  // Of a function that is defined here.
  std::optional<Prototype> prototype(const std::string& function) const;
  // The function in which the variable at offset in section is declared; "" if none, or not known.
  std::string function_of_variable(const Section* section, uint64_t offset) const;
  // The alignment in bytes that the source asks for, of the variable at offset in section; 0 if it
  // does not, or that is not known.
  uint64_t alignment_of_variable(const Section* section, uint64_t offset) const;
  // What lies at the byte offset of a variable with its own storage: ".ops.read", "[2].name"; "" if
  // that is not known, or two variables (static locals) share the name.
  std::string member_at(const std::string& variable, uint64_t offset) const;

 private:
  struct Data;
  std::unique_ptr<Data> data_;
};

}  // namespace ksplice
