// The files that differ between two sources of one kernel, each with its difference as a patch.
//
// In: two trees, which are only read. Out: every file that is another one, by path. Never: a
// difference that is left out because it cannot be a patch; such a file says why.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "create/patch.h"
#include "create/progress.h"

namespace ksplice {

struct ReleaseFile {
  std::string path;
  ChangeKind kind = ChangeKind::Modified;  // never Renamed: that is one Deleted and one Added
  std::string diff;                        // empty if it cannot be a patch
  std::string why;                         // then: why not
  Patch patch;                             // of diff
  FileChange change(const std::filesystem::path& after) const;
};

// Sorted by path. Links count as the files that they lead to; folders of version control, and what
// a build left behind, are not looked at.
std::vector<ReleaseFile> compare_releases(const std::filesystem::path& before,
                                          const std::filesystem::path& after, Progress& progress);

}  // namespace ksplice
