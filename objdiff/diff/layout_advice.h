// How a patch can be written so that a layout stays: what is gone can be left where it is, unused;
// what is new can be attached to the objects. As finished as debug information tells.
#pragma once

#include <string>
#include <vector>

#include "objdiff/diff/judge.h"
#include "objdiff/diff/layout_rules.h"

namespace ksplice {

// What to do about rest, all that differs between old and layout and is not allowed.
std::string advise_on_layout(const Judgement& j, const TypeLayout& old, const TypeLayout& layout,
                             const LayoutVerdict& verdict);

// A member that goes into a shadow variable; was: of the object itself, or null.
struct ShadowMember {
  const TypeMember* is = nullptr;
  const TypeMember* was = nullptr;
};

// The code that attaches members to objects of layout's type, and where it has to be called.
std::string shadow_code(const Judgement& j, const TypeLayout& layout,
                        const std::vector<ShadowMember>& members);

}  // namespace ksplice
