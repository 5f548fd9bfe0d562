// ksplice-create: the list of its stages.
#pragma once

#include <string>
#include <vector>

#include "create/options.h"
#include "create/progress.h"

namespace ksplice {

struct TargetSummary {
  std::string name;                   // "vmlinux" or a module
  std::vector<std::string> replaced;  // functions that will be redirected
  std::vector<std::string> added;     // new functions and data
};

struct KernelSummary {
  std::string release;
  std::vector<std::string> units;    // compiled with the patch
  std::vector<std::string> changed;  // those of them whose code differs
  std::vector<TargetSummary> targets;
};

struct CreateResult {
  std::string id, description, tarball;  // path; empty after --prebuild
  uint64_t tarball_size = 0;
  std::vector<KernelSummary> kernels;
  std::vector<std::string> warnings;
  std::vector<std::string> notes;     // what the user consented to
  std::vector<std::string> left_out;  // kernels that refused, with --partial-fleet
};

// Makes the update that options ask for. Throws Error, and Refused with everything that was found.
CreateResult create_update(const Options& options, Progress& progress);

}  // namespace ksplice
