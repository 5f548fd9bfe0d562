// What of a release is live, as one update per subsystem (--split).
//
// In: the report's parts. Out: groups of them. Parts of one subsystem are together, and so are
// parts that share a file or a unit that both change: two updates with code of one unit refuse each
// other.
#pragma once

#include <string>
#include <vector>

#include "create/release/report.h"

namespace ksplice {

struct PartGroup {
  std::string subsystem;      // of its first part, as "net/sctp"; no two groups have the same
  std::vector<size_t> parts;  // places of parts that are live, in their order
};

// The first two folders of a path, or the first, or "top".
std::string subsystem_of(const std::string& path);

std::vector<PartGroup> split_parts(const std::vector<PartReport>& parts);

// The id of a group's update, of at most 40 characters: base with the subsystem, which is cut off
// and numbered by place where it is too long.
std::string split_id(const std::string& base, const std::string& subsystem, size_t place);

}  // namespace ksplice
