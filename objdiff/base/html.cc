#include "objdiff/base/html.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

namespace ksplice {

namespace {

// How many bytes the character at at has; 0 if they are no UTF-8.
size_t character_size(const std::string& text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(at);
  const size_t size = first < 128 ? 1 : first >= 240 && first < 245 ? 4 : first >= 224 ? 3 : 2;
  if (first >= 245 || (first >= 128 && first < 194) || size > text.size() - at) return 0;
  uint32_t value = size == 1 ? first : first & (255u >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 192) != 128) return 0;
    value = value << 6 | (byte(at + i) & 63);
  }
  const bool is_long = (size == 3 && value < 2048) || (size == 4 && value < 65536);
  return is_long || value > 1114111 || (value >= 55296 && value < 57344) ? 0 : size;
}

// Of the character of size bytes at at: whether it changes how the text around it looks, as the C1
// controls and what turns the direction of writing do.
bool is_hidden(const std::string& text, size_t at, size_t size) {
  const std::string_view character = std::string_view(text).substr(at, size);
  return (character >= "\xc2\x80" && character <= "\xc2\x9f") ||          // U+0080 - U+009F
         (character >= "\xe2\x80\xaa" && character <= "\xe2\x80\xae") ||  // U+202A - U+202E
         (character >= "\xe2\x81\xa6" && character <= "\xe2\x81\xa9");    // U+2066 - U+2069
}

}  // namespace

std::string escaped(const std::string& text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t size = character_size(text, at);
    const char c = text[at];
    const bool is_control =
        size == 1 && ((c >= 0 && c < ' ' && c != '\t' && c != '\n') || c == 127);
    if (size == 0 || is_control || is_hidden(text, at, size))
      result += "\xef\xbf\xbd";
    else if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '&')
      result += "&amp;";
    else if (c == '"')
      result += "&quot;";
    else
      result += text.substr(at, size);
    at += std::max<size_t>(size, 1);
  }
  return result;
}

std::string html_head(const std::string& title, const std::string& style) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
      "<title>{0}</title>\n<style>{1}</style></head><body>\n<h1>{0}</h1>\n",
      escaped(title), style);
}

}  // namespace ksplice
