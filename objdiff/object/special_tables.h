// The tables that belong to code (__bug_table, .altinstructions, ...), cut into entries, each with
// the function that it is about.
//
// Where kernels differ in the size of an entry (alt_instr is 12, 13 or 14 bytes, bug_entry 8, 12 or
// 16), it is taken from the object itself: of the sizes that any kernel used, the one for which the
// relocations of all entries lie at the same places of the entry, and the section is a multiple of
// it. If it is none of these, the relocations alone say it, as long as they leave no choice: they
// come again after that many bytes, each time as many as an entry of the table has. An entry that
// the assembler aligned may lack its padding at the end of the section (.parainstructions of 16, 16
// and 12 bytes until 5.17).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "objdiff/base/error.h"
#include "objdiff/object/atoms.h"

namespace ksplice {

struct TableEntry {
  const Section* section = nullptr;
  uint64_t offset = 0;  // in section
  uint64_t size = 0;    // without padding
  const Atom* owner =
      nullptr;  // the function; null for entries about .altinstr_replacement and the like
  int64_t owner_offset = 0;  // from owner->entry

  std::span<const Relocation> relocations() const;
};

class SpecialTables {
 public:
  explicit SpecialTables(const Atoms& atoms);
  // Entries about function, by table name, then place in the function.
  const std::vector<TableEntry>& of(const Atom* function) const;
  // True if __mcount_loc, __patchable_function_entries, or a call to __fentry__ names its entry.
  bool has_ftrace_site(const Atom& function) const;
  // Tables that could not be cut into entries, code "unknown_section".
  const std::vector<Refusal>& refusals() const { return refusals_; }

 private:
  void read(const Section& section);
  const Atoms& atoms_;
  std::unordered_map<const Atom*, std::vector<TableEntry>> entries_;
  std::vector<Refusal> refusals_;
};

// Size of the entries of a table with its padding, 0 if none fits, for sections that are tables
// with one reference to code at the start of each entry. is_table tells which those are. The last
// entry may end earlier, with the section.
uint64_t table_entry_size(const Section& section);
bool is_table(const std::string& section_name);
// The same for a section that nothing is known about, by its relocations alone.
uint64_t regular_entry_size(const Section& section);

}  // namespace ksplice
