// Which of several flags is whose: the static variables of macros (WARN_ONCE, pr_info_ratelimited,
// get_random_once, pr_debug, a lock's class) have names that say nothing, and so has each of
// several static variables that an author gave one name in one function. They hold state that must
// not be split, shared or mixed up. A WARN_ONCE that stays must remember that it has warned; a new
// one must not.
//
//   what it is      name without number, section, size, function that declares it (debug
//                   information); a pr_debug's descriptor also by its content
//   how it is used  the code of each function is laid beside what it was (align.h), and with that
//                   every use of a variable beside one of another; the message that goes with it
//                   counts more than the code around it
//
// All uses of a variable must agree. Where they leave several, none is taken: ambiguous. What was
// done once is to be done again where it is another thing that is done: with other texts, or to
// other variables (what get_random_once() fills).
//
// Example: a patch puts WARN_ONCE(a, "x") in front of WARN_ONCE(b, "y") in f. Pre has
// __already_done.1, post __already_done.4 and .3. Both could be the old one by the test of the flag
// at the start of f; where it is set, only one has the message "y" behind it.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "objdiff/diff/correlate.h"
#include "objdiff/diff/uses.h"
#include "objdiff/object/dwarf.h"

namespace ksplice {

// A static local variable whose name a macro chose, and that holds state.
bool is_macro_state(const Atom& atom);

// A variable that an author named and that the running kernel keeps something in, beyond the start.
bool is_state(const Atom& atom);

// Where one state must not become another's. Allocation tags only count.
bool keeps_state(const Atom& atom);

// "count" of "count.3", and of clang's "function.count".
std::string source_name(const Atom& atom);

// Several static variables of one name in one function, of either object: nothing but their uses
// tells them apart.
std::set<const Atom*> find_alike(const Atoms& pre, const Atoms& post, const DebugInfo& pre_debug,
                                 const DebugInfo& post_debug);

struct StateContext {
  const Uses& pre;
  const Uses& post;
  const DebugInfo& pre_debug;
  const DebugInfo& post_debug;
  // Those of several of one name in one function, in both objects.
  const std::set<const Atom*>& alike;
  // Whether the contents are equal, before the correlation is known.
  std::function<bool(const Atom& pre, const Atom& post)> similar;
};

// Adds to correlation, in which functions are correlated already. Returns the variables of post
// that cannot be told.
std::vector<const Atom*> correlate_macro_state(const StateContext& context,
                                               Correlation& correlation);

}  // namespace ksplice
