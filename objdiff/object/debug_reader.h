// Reads the numbers of debug information one after the other; internal to the files that read it
// without libdw.
#pragma once

#include <fmt/core.h>

#include "objdiff/base/bytes.h"
#include "objdiff/base/error.h"

namespace ksplice {

[[noreturn]] inline void fail_debug(const std::string& object, const std::string& what) {
  throw Error("no_debug_info", fmt::format("{}: {}", object, what),
              "make the update without --debug-info");
}

struct DebugReader {
  Bytes bytes;
  uint64_t at = 0, end = 0;

  bool done() const { return at >= end; }
  template <typename T>
  T get() {
    if (sizeof(T) > end || at > end - sizeof(T)) bytes.slice(end, bytes.size());  // throws
    T value = bytes.read<T>(at);
    at += sizeof(T);
    return value;
  }
  uint64_t uleb() {
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const uint8_t byte = get<uint8_t>();
      if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return value;
    }
  }
  int64_t sleb() {
    uint64_t value = 0;
    for (unsigned shift = 0;;) {
      const uint8_t byte = get<uint8_t>();
      if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
      shift += 7;
      if ((byte & 0x80) != 0) continue;
      if (shift < 64 && (byte & 0x40) != 0) value |= ~uint64_t{0} << shift;
      return static_cast<int64_t>(value);
    }
  }
  std::string_view text() {
    const std::string_view found = bytes.c_string(at);
    at += found.size() + 1;
    return found;
  }
  void skip(uint64_t count) {
    bytes.slice(at, count);
    at += count;
  }
};

}  // namespace ksplice
