// Which thing of post is which thing of pre.
//
// Names decide where they are unique. Names that the compiler numbers (__key.3, foo.constprop.0)
// are told apart by who refers to them and in which order, because a patch renumbers them at will.
// Names alone never decide between two candidates.
#pragma once

#include <unordered_map>

#include "objdiff/atoms.h"
#include "objdiff/special_tables.h"

namespace ksplice {

struct Correlation {
  std::unordered_map<const Atom*, const Atom*> to_pre;  // functions and data
  std::unordered_map<const Atom*, const Atom*> to_post;

  const Atom* pre(const Atom* post) const;
  const Atom* post(const Atom* pre) const;
  void add(const Atom* pre, const Atom* post);
};

Correlation correlate(const Atoms& pre, const Atoms& post, const SpecialTables& pre_tables,
                      const SpecialTables& post_tables);

// Statics that macros and the compiler make (__key, __already_done, pr_debug descriptors, CSWTCH):
// new code may use one of its own without splitting state that matters.
bool is_interchangeable(const Atom& atom);

// "foo" for "foo.cold" and "foo.cold.12"; empty if name is no fragment.
std::string fragment_parent(const std::string& name);

}  // namespace ksplice
