#include "objdiff/base/utc.h"

#include <cstdio>
#include <ctime>

namespace ksplice {

std::string utc_text(int64_t seconds) {
  const std::time_t time = static_cast<std::time_t>(seconds);
  struct tm parts = {};
  ::gmtime_r(&time, &parts);
  char text[40];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts));
}

std::optional<int64_t> parse_utc(const std::string& text) {
  struct tm parts = {};
  int length = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &parts.tm_year, &parts.tm_mon,
                  &parts.tm_mday, &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &length) != 6)
    return std::nullopt;
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  const int64_t seconds = ::timegm(&parts);
  // What timegm had to correct, what sscanf skipped, and what follows shows here.
  if (utc_text(seconds) != text) return std::nullopt;
  return seconds;
}

int64_t now_utc() { return static_cast<int64_t>(std::time(nullptr)); }

}  // namespace ksplice
