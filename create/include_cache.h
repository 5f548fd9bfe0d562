// What source files include, kept from one create to the next: opening each of a kernel's files
// takes longer than all else that finds the units a patch touches.
//
// The cache's file holds, under a checksum of the rest, a line for each source file: what the file
// was when it was read (size, inode, times), its path, and the names, divided by tabs. One that is
// not whole, or of another form, is none.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace ksplice {

class IncludeCache {
 public:
  // path may be empty: nothing is known then, nor kept.
  explicit IncludeCache(std::filesystem::path path);

  // What changes when the file is written, however little later; empty if that cannot be told as
  // it was written a moment ago, or is not there. Links are followed.
  static std::string stamp(const std::filesystem::path& file);

  // The names that file includes, if it has that stamp still; null if that is not known. The
  // pointer is good until store().
  const std::vector<std::string>* find(const std::string& file, const std::string& stamp) const;

  struct Entry {
    std::string file, stamp;
    std::vector<std::string> names;
  };
  // Keeps these and nothing else, of those that have a stamp. What cannot be written is not kept.
  void store(const std::vector<Entry>& entries);

 private:
  std::filesystem::path path_;
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace ksplice
