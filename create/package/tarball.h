// A compressed archive in memory, the same for the same content: everything is fixed that could
// differ from one run to the next (order, times, owners, modes).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ksplice {

// A file, or a symbolic link.
struct TarEntry {
  std::string name;
  std::vector<uint8_t> content;
  std::string link;  // where it leads; empty: it is a file
};

// level: of gzip, 1 to 9.
std::vector<uint8_t> make_tarball(const std::vector<TarEntry>& entries, int level);

}  // namespace ksplice
