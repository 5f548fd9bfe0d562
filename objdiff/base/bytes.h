// Checked access to bytes that came from outside. Every read of untrusted data goes through here.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "objdiff/base/error.h"

namespace ksplice {

// A view of bytes with a name for messages. Does not own. All reads throw Error("bad_file") with
// the name, offset and sizes when out of range.
class Bytes {
 public:
  Bytes() = default;
  Bytes(std::span<const uint8_t> data, std::string_view name) : data_(data), name_(name) {}

  uint64_t size() const { return data_.size(); }
  const uint8_t* data() const { return data_.data(); }
  std::span<const uint8_t> span() const { return data_; }
  std::string_view name() const { return name_; }

  Bytes slice(uint64_t offset, uint64_t length) const {
    check(offset, length);
    return Bytes(data_.subspan(offset, length), name_);
  }

  // Reads a little-endian fixed-size value (host order: x86-64 only).
  template <typename T>
  T read(uint64_t offset) const {
    static_assert(std::is_trivially_copyable_v<T>);
    check(offset, sizeof(T));
    T value;
    std::memcpy(&value, data_.data() + offset, sizeof(T));
    return value;
  }

  // The zero-terminated string at offset, without the zero.
  std::string_view c_string(uint64_t offset) const {
    check(offset, 1);
    const void* end = std::memchr(data_.data() + offset, 0, data_.size() - offset);
    if (end == nullptr)
      throw Error("bad_file", std::string(name_) + ": string at offset " + std::to_string(offset) +
                                  " has no end");
    const char* begin = reinterpret_cast<const char*>(data_.data() + offset);
    return {begin, static_cast<size_t>(static_cast<const char*>(end) - begin)};
  }

 private:
  void check(uint64_t offset, uint64_t length) const {
    if (offset > data_.size() || length > data_.size() - offset)
      throw Error("bad_file", std::string(name_) + ": " + std::to_string(length) +
                                  " bytes at offset " + std::to_string(offset) +
                                  " are outside its " + std::to_string(data_.size()) + " bytes");
  }
  std::span<const uint8_t> data_;
  std::string_view name_;
};

}  // namespace ksplice
