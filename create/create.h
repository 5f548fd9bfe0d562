// ksplice-create: the list of its stages. In: a patch, a source, a kernel's configuration
// directory. Out: a tarball, or refusals. It never writes to the source, and decides nothing about
// code: that is objdiff's.
#pragma once

#include <string>
#include <vector>

#include "create/config_dir.h"
#include "create/fleet.h"
#include "create/options.h"
#include "create/progress.h"

namespace ksplice {

struct CreateResult {
  std::string id, description, tarball;  // path; empty after --prebuild
  uint64_t tarball_size = 0;
  std::vector<KernelSummary> kernels;
  std::vector<std::string> stands_on;  // ids of earlier updates
  std::vector<std::string> kept;       // update modules that an undo keeps in memory
  std::vector<std::string> warnings;
  std::vector<std::string> notes;  // what the user consented to
  std::vector<PackageLeftOut> left_out_patches;
  std::vector<KernelFailure> left_out;  // kernels that refused, with --partial-fleet
  DebugTree debug;
  std::string debug_tarball;  // path; empty without --debug-info
  uint64_t debug_size = 0;
};

// The kernels of options, with the running one if none is named. Throws Error.
std::vector<KernelConfig> read_kernels(const Options& options);

// The folder of a source that may be the distribution's tarball: unpacked into the cache.
std::filesystem::path source_folder(const std::filesystem::path& source, const Options& options,
                                    Progress& progress);

// Throws Error if nothing can be written where the tarball goes.
void check_output(const Options& options);

// Makes the update that options ask for. Throws Error, and Refused with everything that was found.
CreateResult create_update(const Options& options, Progress& progress);

}  // namespace ksplice
