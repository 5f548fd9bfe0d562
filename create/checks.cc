#include "create/checks.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "create/toolchain.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;

void check_version(const RunImage& image, const fs::path& source, bool skip, Progress& progress) {
  std::string version = other_version(image.banner, source);
  if (version.empty()) return;
  std::string text =
      fmt::format("{} is not the source of Linux {}, which the kernel says it is: {}",
                  source.string(), version, image.banner);
  if (!skip)
    throw Error("wrong_source", text,
                fmt::format("give the source of {}; or give --skip-toolchain-check: code and types "
                            "are compared in any case",
                            version));
  progress.note(text);
}

void check_configuration(const KernelConfig& kernel, const RunImage& image, const Kbuild& kbuild,
                         bool skip, Progress& progress) {
  std::string other = other_compiler_of_banner(image.banner, kernel.config_text);
  std::vector<std::string> lost =
      lost_options(kernel.config_text, read_text(kbuild.obj / ".config"));
  std::vector<ToolDifference> differences;
  if (!other.empty())
    differences.push_back({"by its own banner, the compiler", other, "a .config that names another",
                           compiler_package(other)});
  std::vector<std::string> unknown;
  if (!lost.empty()) unknown = options_unknown_to(kbuild.tree, lost);
  if (!unknown.empty())
    differences.push_back(
        {"the configuration", fmt::format("{}", fmt::join(unknown, " ")),
         "another source, which has no such options (Debian's rt kernels, say, have the patches of "
         "debian/patches-rt in theirs)",
         ""});
  else if (!lost.empty())
    differences.push_back(
        {"the configuration", fmt::format("{}", fmt::join(lost, " ")),
         "a toolchain (compiler, binutils, pahole, openssl) that cannot serve these options", ""});
  for (const std::string& note : check_tools(kernel, differences, skip)) progress.note(note);
}

void check_map(const KernelConfig& kernel, const RunImage& image, Progress& progress) {
  if (kernel.system_map.empty()) return;
  SystemMap map = read_system_map(kernel.system_map.string());
  std::string finding = check_system_map(map, image);
  if (finding.empty()) return;
  if (map.is_stub) {
    progress.detail(fmt::format("{}: {}", kernel.system_map.string(), finding));
    return;
  }
  throw Error("bad_system_map", fmt::format("{}: {}", kernel.system_map.string(), finding),
              "the configuration directory needs the System.map of its own kernel, or none");
}

}  // namespace ksplice
