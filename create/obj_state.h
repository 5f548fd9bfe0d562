// kbuild's output folder as it was, with nothing of a build in between.
//
// Builds leave files there that rules made from sources: headers, tables, C. make makes them again
// when their source is newer, and a source that is put back is as old as it ever was: what was made
// from the patched one would stay, and be compiled as a part of the original.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace ksplice {

class ObjState {
 public:
  // Remembers obj, which was made as a copy of origin.
  ObjState(std::filesystem::path obj, std::filesystem::path origin);

  // Takes away what is new in obj since, and takes from origin what is changed or gone.
  void restore() const;

 private:
  struct Stamp {
    int64_t time = 0;
    uintmax_t size = 0;
    bool operator==(const Stamp&) const = default;
  };
  static std::map<std::string, Stamp> stamps_of(const std::filesystem::path& folder);

  std::filesystem::path obj_, origin_;
  std::map<std::string, Stamp> before_;
};

}  // namespace ksplice
