// Included in front of everything when clang 14 builds the fuzzers: it lacks what libstdc++ needs
// for std::source_location. What base/error.h uses of it, no more.
#pragma once

#include <cstdint>
#include <source_location>

#ifndef __cpp_lib_source_location
namespace std {
struct source_location {
  static constexpr source_location current(const char* file = __builtin_FILE(),
                                           uint_least32_t line = __builtin_LINE(),
                                           const char* function = __builtin_FUNCTION()) {
    source_location location;
    location.file_ = file;
    location.line_ = line;
    location.function_ = function;
    return location;
  }
  constexpr const char* file_name() const { return file_; }
  constexpr uint_least32_t line() const { return line_; }
  constexpr uint_least32_t column() const { return 0; }
  constexpr const char* function_name() const { return function_; }

 private:
  const char* file_ = "";
  uint_least32_t line_ = 0;
  const char* function_ = "";
};
}  // namespace std
#endif
