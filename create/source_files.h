// The files of SOURCE, while an update is made from them.
#pragma once

#include <ctime>
#include <filesystem>
#include <map>
#include <string>

namespace ksplice {

// They must stay as they are from the construction of this on: a file is read for pre and for post,
// at different times, and what differs between these must be the patch.
class SourceFiles {
 public:
  explicit SourceFiles(std::filesystem::path source);

  // SHA-256 of the file's content in hex, empty if there is none. path is relative to the source.
  // Throws as check does.
  const std::string& digest(const std::string& path);
  // Throws Error("source_changed") if the file was written since the construction.
  void check(const std::string& path) const;

 private:
  std::filesystem::path source_;
  timespec started_ = {};
  std::map<std::string, std::string> digests_;
};

}  // namespace ksplice
