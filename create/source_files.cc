#include "create/source_files.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <tuple>

#include "create/package/manifest.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;

SourceFiles::SourceFiles(fs::path source) : source_(std::move(source)) {
  // The clock that file systems take a file's times from.
  ::clock_gettime(CLOCK_REALTIME_COARSE, &started_);
}

// The time of change, not that of modification: a file can be put there with an old one.
void SourceFiles::check(const std::string& path) const {
  struct stat st = {};
  if (::stat((source_ / path).c_str(), &st) != 0) return;
  if (std::tie(st.st_ctim.tv_sec, st.st_ctim.tv_nsec) <=
      std::tie(started_.tv_sec, started_.tv_nsec))
    return;
  throw Error(
      "source_changed",
      fmt::format("{} was changed while the update was being made", (source_ / path).string()),
      "make the update again when nothing else writes to the source, or from a copy");
}

const std::string& SourceFiles::digest(const std::string& path) {
  auto [found, is_new] = digests_.try_emplace(path);
  if (!is_new) return found->second;
  check(path);
  if (fs::is_regular_file(source_ / path)) found->second = sha256(read_file(source_ / path));
  return found->second;
}

}  // namespace ksplice
