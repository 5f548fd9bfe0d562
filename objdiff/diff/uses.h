// What a function or datum refers to, in order, and what stands around it in the code: how a thing
// is used says more about it than a name that a macro or the compiler gave it.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "objdiff/object/atoms.h"
#include "objdiff/object/special_tables.h"

namespace ksplice {

struct Use {
  uint64_t offset = 0;  // in the atom; of entries of the jump table: behind all code
  uint32_t type = 0;
  Reference reference;
};

class Uses {
 public:
  Uses(const Atoms& atoms, const SpecialTables& tables) : atoms_(atoms), tables_(tables) {}
  const Atoms& atoms() const { return atoms_; }
  // Every reference of atom. For a function also those that only its jump table entries have (the
  // key in the descriptor of a pr_debug() without arguments).
  std::vector<Use> of(const Atom& atom) const;
  // The same for a function, with all instructions between; reference is empty for those without.
  std::vector<Use> with_code(const Atom& function) const;
  // What the code at offset refers to up to the end of the block, and in the blocks that it goes on
  // to: the message that goes with a flag.
  std::set<const Atom*> things_near(const Atom& function, uint64_t offset) const;

 private:
  void add_jump_table(const Atom& function, std::vector<Use>& uses) const;
  void read_block(const Section& code, uint64_t offset, int depth,
                  std::set<const Atom*>& things) const;

  const Atoms& atoms_;
  const SpecialTables& tables_;
};

// The bytes of a string.
std::string string_of(const Atom& string);

}  // namespace ksplice
