// VCDIFF deltas (RFC 3284) between files of a tarball, by the xdelta3 library.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace ksplice {

// What turns base into target. Same input, same bytes. Nothing if it would not be smaller than
// target, or if one of them is empty.
std::optional<std::vector<uint8_t>> make_delta(const std::vector<uint8_t>& base,
                                               const std::vector<uint8_t>& target);

// The target, which must have exactly size bytes. Safe for any delta: memory is bounded by size and
// the length of the delta. Throws Error("bad_tarball") with the reason.
std::vector<uint8_t> apply_delta(const std::vector<uint8_t>& base,
                                 const std::vector<uint8_t>& delta, uint64_t size);

}  // namespace ksplice
