// The tree as the patch makes it, and back.
#pragma once

#include <vector>

#include "create/overlay.h"
#include "create/patch.h"

namespace ksplice {

// The changes that a build can see.
std::vector<FileChange> seen_by_kbuild(const std::vector<FileChange>& changes);

// Makes the tree the patched one, in which patches also find <ksplice-patch.h>.
void swap_in(Overlay& overlay, const std::vector<FileChange>& changes);

// Makes the tree the original one again.
void swap_out(Overlay& overlay, const std::vector<FileChange>& changes);

}  // namespace ksplice
