// What a change of a layout does to live objects, and which changes do nothing to them.
//
// Two ways count. An object that old code made is used by new code after the switch; one that new
// code made is used by old code after an undo. What is allowed is right both ways:
//
//   same-bytes   A member that is new or gone is but another name for members that stay: a
//                structure around them (struct_group_tagged()), or an array without elements of its
//                own in front of the same elements (DECLARE_FLEX_ARRAY()).
//
// Not allowed, though nothing moves:
//   - A member in a place that was unused. Old code never wrote there: of kzalloc() it holds zeros,
//     of kmalloc() and of a copy from a stack whatever was there. Whoever knows that it holds zeros
//     everywhere, and that this is right, says so (--zeroed); an undo is right then, as old code
//     does not look there.
//   - A member that is gone, or the end of an array, where it leaves a gap: old code looks there
//     after an undo, in objects in which new code set nothing. The patch can leave it, unused.
//   - One that is wider, where the place behind it was unused: both of these.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "objdiff/diff/renamed_types.h"

namespace ksplice {

struct LayoutVerdict {
  LayoutChange rest;                 // what no rule allows
  std::vector<std::string> allowed;  // what a rule does, in words with its name
  bool is_allowed = false;           // nothing is left
  bool only_fills = false;           // nothing is left but new members in places that were unused
};

class LayoutRules {
 public:
  LayoutRules(const Types& pre, const Types& post, const RenamedTypes& renamed)
      : pre_(pre), post_(post), renamed_(renamed) {}
  // now: of post, by the names that pre has for types. Both must outlive the answer.
  LayoutVerdict judge(const TypeLayout& old, const TypeLayout& now) const;

 private:
  using Members = std::vector<TypeMember>;
  const TypeLayout* inner_layout(const TypeMember& member, bool post) const;
  Members inner_members(const TypeMember& member, bool post) const;
  Members whole_members(const TypeMember& member, bool post) const;
  Members all_members(const TypeLayout& layout, bool post) const;
  bool is_there(const TypeMember& member, const std::string& path, bool post, const Members& others,
                std::vector<std::string>& known) const;
  bool is_shared(const std::string& type, std::set<std::string>& seen) const;
  bool is_unused(const TypeLayout& old, const TypeMember& member) const;
  bool is_other_name(const TypeMember& member, bool post, const Members& others,
                     std::vector<std::string>& known) const;

  const Types& pre_;
  const Types& post_;
  const RenamedTypes& renamed_;
};

}  // namespace ksplice
