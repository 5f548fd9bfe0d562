// Refuses changes of the layout of types that live objects have.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "objdiff/diff/judge.h"

namespace ksplice {

void judge_types(Judgement& j) {
  if (j.included.empty() || !j.context.pre_debug.present() || !j.context.post_debug.present())
    return;
  const auto &pre = j.context.pre_debug.types(), &post = j.context.post_debug.types();
  for (const auto& [name, layout] : post) {
    auto old = pre.find(name);
    if (old == pre.end()) continue;
    const std::string difference = layout_difference(old->second, layout);
    if (difference.empty()) continue;
    // Only on the stack, and everything that touches it is replaced together.
    if (j.context.pre_debug.only_on_stack(name) && j.context.post_debug.only_on_stack(name))
      continue;
    const std::vector<std::string> users = j.context.post_debug.users_of(name);
    Refusal& refusal =
        j.refuse("type_changed", "", name, fmt::format("{} changed: {}", name, difference),
                 "keep the layout that live objects have; attach new data with a shadow variable "
                 "(ksplice_shadow_get)");
    refusal.expected = fmt::format("{}:{}", old->second.file, old->second.line);
    refusal.found = fmt::format(
        "used by {}",
        fmt::join(users.begin(), users.begin() + std::min<size_t>(users.size(), 12), ", "));
  }
}

}  // namespace ksplice
