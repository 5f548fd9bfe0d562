// Keeps what is expensive to compute from a file's content, in files named by the content's
// SHA-256.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace ksplice {

// make()'s result for this key, from directory if it is there and whole (its length and CRC-32
// agree), otherwise made and stored for the next time. An empty directory name means no cache. A
// cache that cannot be written is not an error.
std::vector<uint8_t> cached(const std::string& directory, std::span<const uint8_t> key,
                            const std::function<std::vector<uint8_t>()>& make);

}  // namespace ksplice
