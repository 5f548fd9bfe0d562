#include "create/hints.h"

#include <fmt/core.h>

#include <set>

namespace ksplice {

void correct_hints(std::vector<Refusal>& refusals) {
  std::set<std::string> units;  // in which a type changed
  for (const Refusal& refusal : refusals)
    if (refusal.code == "type_changed") units.insert(refusal.object);
  for (Refusal& refusal : refusals) {
    if (refusal.code == "needs_patch") continue;
    if (!refusal.follows.empty())
      refusal.advice = fmt::format("see to the {} first: this may be gone then", refusal.follows);
    else if (refusal.code == "always_busy" && units.contains(refusal.object))
      refusal.advice =
          "see to the type that changed first: the tasks in it go on in the old code, with the old "
          "layout, so --allow-busy would not do";
  }
}

}  // namespace ksplice
