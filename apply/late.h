// Targets that come later: what the core (kmod-core/late.c) is told, and what it asks for.
#pragma once

#include "apply/load.h"

namespace ksplice {

// Tells the loaded core who finishes update modules for it, and what the host wants of modules that
// cannot be patched, where the options say so.
void write_late(const Host& host, const LoadOptions& options);

// For the core (kmod-core/late.c): patches a module that is being loaded with all applied updates
// that wait for it, in the order in which these were applied. Throws what apply_update() throws.
void finish_target(const Host& host, const std::string& target, LoadOptions options);

// Whoever is called by the kernel has no standard files: what is opened next would take their
// place. Errors go to the kernel log then.
void open_standard_files();

}  // namespace ksplice
