#include "objdiff/match/likely_cause.h"

#include <fmt/format.h>

#include <sstream>

#include "objdiff/base/bytes.h"
#include "objdiff/object/dwarf.h"

namespace ksplice {
namespace {

// The compiler's part of "Linux version R (builder) (gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld ...)
// #1".
std::string compiler_of_banner(const std::string& banner) {
  size_t begin = banner.find(") (");
  if (begin == std::string::npos) return "";
  begin += 3;
  size_t end = banner.find(", ", begin);
  return banner.substr(begin, end == std::string::npos ? end : end - begin);
}

// Without the name: what compiler and banner have in common, "(Debian 12.2.0-14) 12.2.0".
std::string version_part(const std::string& compiler) {
  static const std::string gcc = "GCC: ";
  if (compiler.rfind(gcc, 0) == 0) return compiler.substr(gcc.size());
  return compiler;
}

// The level of optimization among the options that gcc notes in debug information, if it is not the
// kernel's usual one: "-Os" (CONFIG_CC_OPTIMIZE_FOR_SIZE), "-O3". The last one given counts.
std::string unusual_level(const Object& pre) {
  std::istringstream options(DebugInfo(pre).producer());
  std::string level;
  for (std::string word; options >> word;)
    if (word.starts_with("-O")) level = word;
  return level == "-O2" ? "" : level;
}

}  // namespace

std::string compiler_of(const Object& object) {
  const Section* section = object.find_section(".comment");
  if (section == nullptr) return "";
  Bytes bytes(section->data, object.path);
  for (uint64_t at = 0; at < bytes.size();) {
    std::string_view text = bytes.c_string(at);
    if (!text.empty()) return std::string(text);
    at++;
  }
  return "";
}

std::string likely_cause(const Object& pre, const RunImage& image, size_t matched,
                         size_t mismatched) {
  std::string ours = compiler_of(pre), theirs = compiler_of_banner(image.banner);
  if (!ours.empty() && !theirs.empty() && theirs.find(version_part(ours)) == std::string::npos)
    return fmt::format(
        "another compiler: pre was made by \"{}\", the kernel by \"{}\"; use that one", ours,
        theirs);
  if (std::string level = unusual_level(pre); !level.empty())
    return fmt::format(
        "another optimization: pre was compiled with {}, and kernels are with -O2, unless their "
        ".config says otherwise",
        level);
  if (mismatched > 8 && mismatched > matched)
    return "most of the unit differs, as with other compiler options or another configuration: "
           "build "
           "with the .config of the running kernel";
  return "the compiler is the kernel's own or unknown and most of the unit is as it should be: the "
         "source "
         "or the configuration differs here, or the image was already patched";
}

}  // namespace ksplice
