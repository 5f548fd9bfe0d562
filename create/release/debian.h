// The source of another version of Debian's kernel, from the archive.
#pragma once

#include <filesystem>
#include <string>

#include "create/config_dir.h"
#include "create/progress.h"

namespace ksplice {

struct DebianSource {
  std::filesystem::path source, changelog;
};

// The source of version ("6.1.187-1"), for the Debian release that the kernel is of, with the
// changelog of its package; kept in cache. apt is asked with lists of its own, and the machine's
// stay as they are. Throws Error("failed") with apt's words.
DebianSource fetch_debian_source(const std::filesystem::path& cache, const KernelConfig& kernel,
                                 const std::string& version, Progress& progress);

}  // namespace ksplice
