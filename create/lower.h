// The updates that are applied where the new one will be: on the command line, or on this host.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "create/options.h"
#include "create/package/package.h"
#include "create/progress.h"
#include "objdiff/image/run_image.h"

namespace ksplice {

// The tarballs of --on-top-of in that order; without the option and without --config, the stored
// copies of the updates that are applied to the running kernel (root, for tests: a folder in place
// of /). Throws Error("needs_update") where one stands on another that is not named before it.
std::vector<Package> read_lower_updates(const Options& options, Progress& progress,
                                        const std::filesystem::path& root = "/");

// Adds the modules of the updates that cover image's target to it. Throws Error("wrong_kernel") if
// an update is not for the kernel of that build id.
void add_lower_updates(RunImage& image, const std::vector<Package>& lowers,
                       const std::string& kernel_build_id);

}  // namespace ksplice
