// What the user asks for, apart from the kernels: the same for all kernels of a fleet.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "create/fixes.h"
#include "create/leave_out.h"
#include "create/options.h"
#include "create/package/package.h"
#include "create/patch.h"
#include "create/progress.h"

namespace ksplice {

struct Job {
  std::vector<Patch> patches;      // the whole series
  std::vector<std::string> texts;  // of each
  std::vector<LeftOutPatch> left_out;
  std::string id, description;
  std::string text;             // all of it, as given
  std::vector<Package> lowers;  // what it will be applied on top of

  std::set<size_t> left_indices() const;
  std::vector<Patch> rest() const;   // the patches that are not left out
  std::string text_of_rest() const;  // theirs
  Fixes fixes_of_rest() const;
  std::vector<PackageLeftOut> describe_left_out() const;
  // Of the rest, if the user gave none.
  std::string description_of_rest() const;
};

// Reads the patches, from options' files, git tree or changed files below source, and the tarballs
// of --on-top-of. Throws Error.
Job read_job(const Options& options, const std::filesystem::path& source, Progress& progress);

}  // namespace ksplice
