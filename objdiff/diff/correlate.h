// Which thing of post is which thing of pre.
//
// Names decide where they are unique. Names that the compiler numbers (__key.3, foo.constprop.0)
// are told apart by who refers to them, by their content, and by the debug information, because a
// patch renumbers them at will. Names alone never decide between two candidates, and for variables
// that hold state (two functions inlined into one, each with a static "count") nothing less than
// evidence does: without it they stay apart and are listed as ambiguous. What macros call theirs
// (__already_done, _rs) is no evidence at all (correlate_state.h).
#pragma once

#include <unordered_map>
#include <vector>

#include "objdiff/object/atoms.h"
#include "objdiff/object/dwarf.h"
#include "objdiff/object/special_tables.h"

namespace ksplice {

struct Correlation {
  std::unordered_map<const Atom*, const Atom*> to_pre;  // functions and data
  std::unordered_map<const Atom*, const Atom*> to_post;

  // Variables of post that are one of several in pre, and nothing says which.
  std::vector<const Atom*> ambiguous;

  const Atom* pre(const Atom* post) const;
  const Atom* post(const Atom* pre) const;
  void add(const Atom* pre, const Atom* post);
};

Correlation correlate(const Atoms& pre, const Atoms& post, const SpecialTables& pre_tables,
                      const SpecialTables& post_tables, const DebugInfo& pre_debug,
                      const DebugInfo& post_debug);

// "foo" for "foo.cold" and "foo.cold.12"; empty if name is no fragment.
std::string fragment_parent(const std::string& name);

// A copy that the compiler made of a function ("foo.constprop.0"): it decides by itself what is
// handed over, and leaves out what every caller has the same.
bool is_compiler_made(const std::string& name);

}  // namespace ksplice
