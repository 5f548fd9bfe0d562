// A declared condition on the arguments of a function: what somebody must pass to reach a fault.
//
//   count > 4096                       a parameter by its name, or arg1 to arg6
//   m->size == 0 && arg2 != NULL       what pointers lead to; members, also of bits
//   how->flags & 0x40 || dfd < -100    &: any of these bits; || parts groups of terms
//
// Types, sizes and signs are those of the kernel (BTF). Without them an argument is a signed number
// of eight bytes, and has no name. Arguments are taken at the entry of the original.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "apply/trace/trace_abi.h"

struct btf;

namespace ksplice {

struct Tripwire {
  std::string condition;
  trace_tripwire code = {};
  std::vector<std::string> operands;  // of each term, as written
};

// "FUNCTION: CONDITION" or "CONDITION", apart; function is empty in the second case.
struct TripwireText {
  std::string function, condition;
};
TripwireText split_tripwire(const std::string& text);

// types: those that have the function, or nullptr. Throws Error("bad_condition").
Tripwire make_tripwire(const btf* types, const std::string& function, const std::string& condition);

// What was compared when the condition was met, and as "count = 5000, m->size = 0".
std::vector<std::pair<std::string, std::string>> compared_values(const Tripwire& tripwire,
                                                                 const trace_event& event);
std::string values_text(const Tripwire& tripwire, const trace_event& event);

}  // namespace ksplice
