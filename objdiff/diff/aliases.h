// Names that lead to another thing than before: alias("f"), SYSCALL_ALIAS, SYM_FUNC_ALIAS, a weak
// default that became an alias. All code of the running kernel that says the name has the old
// address in it, and an alias has no entry of its own that could be redirected.
#pragma once

#include <vector>

#include "objdiff/base/error.h"

namespace ksplice {

struct DiffContext;

// Code alias_changed, for names that both objects define. A name that is added or gone changes no
// code: whoever uses it has changed.
std::vector<Refusal> find_alias_changes(const DiffContext& context);

}  // namespace ksplice
