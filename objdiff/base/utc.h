// Times in manifests and on command lines: "2026-11-30T07:28:00Z", always UTC.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ksplice {

// Seconds since 1970 as that text, and back; nothing for any other text and for days that no month
// has.
std::string utc_text(int64_t seconds);
std::optional<int64_t> parse_utc(const std::string& text);

int64_t now_utc();

}  // namespace ksplice
