// What was applied, undone or loaded here before, and is in the way of an update now. Each throws
// Refused, or says nothing.
#pragma once

#include <string>

#include "apply/host.h"
#include "apply/kernel_updates.h"
#include "apply/load.h"
#include "create/package/package.h"

namespace ksplice {

// module_busy
void check_no_orphans(const Host& host, const Plan& plan, const UpdateState& state);

// id_in_use: an update that is applied
void check_same_update(const Host& host, const Package& package);

// id_in_use: one that was undone and stays in memory
void check_same_kept(const Host& host, const Package& package, const PackageKernel& kernel,
                     const UpdateState& state);

// cold_update_loaded
void check_no_patched(const Host& host, const std::string& id);

}  // namespace ksplice
