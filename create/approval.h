// One page about an update for the person who must approve it: the patch with what each hunk
// changes, the code before and after, what is proven, and what undo does. It needs nothing but
// itself: no scripts, no other files.
#pragma once

#include <string>

#include "create/package/package.h"

namespace ksplice {

std::string approval_html(const Package& package);

}  // namespace ksplice
