#include "create/toolchain.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <map>
#include <ranges>
#include <regex>
#include <set>
#include <sstream>

#include "create/root.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// First line of what a command prints where the kernel is built, run by the shell because CC may be
// several words; empty if it fails.
std::string first_line_of(const KernelConfig& kernel, const std::string& command) {
  CommandOptions options;
  options.env = {{"LC_ALL", "C"}};
  options.own_temporary = true;
  CommandResult run =
      run_command(in_root(kernel.root, {}, {"sh", "-c", command + " 2>/dev/null"}), options);
  return run.status == 0 ? first_line(run.output) : "";
}

// "gcc-12 (Debian 12.2.0-14) 12.2.0" without the name that the compiler was called by.
std::string without_name(const std::string& version) {
  size_t space = version.find(" (");
  return space == std::string::npos ? version : version.substr(space + 1);
}

// Names to try for the compiler that CONFIG_CC_VERSION_TEXT names.
std::vector<std::string> compiler_names(const std::string& wanted) {
  std::smatch clang;
  if (std::regex_search(wanted, clang, std::regex("clang version ([0-9]+)")))
    return {"clang-" + clang[1].str(), "clang"};
  std::string named = wanted.substr(0, wanted.find(' '));
  std::vector<std::string> names = {named};
  for (std::string prefix : {"x86_64-linux-gnu-", "x86_64-linux-", "x86_64-pc-linux-gnu-"})
    if (names.size() == 1 && named.starts_with(prefix))
      names.push_back(named.substr(prefix.size()));
  std::string plain = names.back();
  std::smatch version;
  if (std::regex_search(wanted, version, std::regex(" ([0-9]+)\\.[0-9]+")))
    names.push_back(plain.substr(0, plain.find('-')) + "-" + version[1].str());
  names.push_back(plain.substr(0, plain.find('-')));
  return names;
}

// LLVM=1, LLVM=-14 and LLVM=/usr/lib/llvm-14/bin/ as kbuild understands them.
std::string llvm_tool(const std::string& llvm, const std::string& tool) {
  if (llvm.starts_with("-")) return tool + llvm;
  return llvm.ends_with("/") ? llvm + tool : tool;
}

bool uses_llvm(const KernelConfig& kernel) {
  std::string llvm = flag_value(kernel, "LLVM");
  return !llvm.empty() && llvm != "0";
}

// CONFIG_AS_VERSION and the like: "24000" as "2.40".
std::string version_text(const std::string& number, unsigned long unit) {
  unsigned long value = std::strtoul(number.c_str(), nullptr, 10);
  return fmt::format("{}.{}", value / (unit * unit), value / unit % unit);
}

// "2.40" at the end of "GNU assembler (GNU Binutils for Debian) 2.40", "14.0" in "LLD 14.0.6".
std::string version_in(const std::string& line) {
  std::smatch found;
  std::regex number("([0-9]+\\.[0-9]+)(\\.[0-9]+)*[^ ]*$");
  return std::regex_search(line, found, number) ? found[1].str() : "";
}

// What to do where a tool is missing: install it there, or build in a tree of another release.
std::string advice_for(const KernelConfig& kernel, const std::string& install) {
  std::string root = root_hint(kernel);
  if (!root.empty()) return root;
  return kernel.root.empty() ? install : install + " (in " + kernel.root.string() + ")";
}

struct VersionedTool {
  const char* what;
  const char* option;   // CONFIG_ that holds its version
  const char* needed;   // CONFIG_ that says that it was used
  const char* flag;     // word for make that names it
  const char* command;  // otherwise
  unsigned long unit;   // of the parts of the number
  const char* package;
};

constexpr VersionedTool VersionedTools[] = {
    {"the assembler", "AS_VERSION", "AS_IS_GNU", "AS", "as", 100, "binutils"},
    {"the linker", "LD_VERSION", "LD_IS_BFD", "LD", "ld", 100, "binutils"},
    {"the linker", "LLD_VERSION", "LD_IS_LLD", "LD", "ld.lld", 100, "lld"},
};

void compare_versions(const KernelConfig& kernel, std::vector<ToolDifference>& differences) {
  for (const VersionedTool& tool : VersionedTools) {
    std::string number = config_value(kernel.config_text, tool.option);
    if (number.empty() || number == "0" || config_value(kernel.config_text, tool.needed) != "y")
      continue;
    std::string command = flag_value(kernel, tool.flag);
    if (command.empty())
      command = uses_llvm(kernel) ? llvm_tool(flag_value(kernel, "LLVM"), tool.command)
                                  : flag_value(kernel, "CROSS_COMPILE") + tool.command;
    std::string wanted = version_text(number, tool.unit);
    std::string line = first_line_of(kernel, command + " --version");
    std::string found = line.starts_with("Debian LLD") || line.starts_with("LLD")
                            ? version_in(line.substr(0, line.find(" (")))
                            : version_in(line);
    if (found != wanted)
      differences.push_back({tool.what, fmt::format("{} {}", tool.command, wanted),
                             line.empty() ? "none" : line, tool.package});
  }
}

// Plugins change code; without their headers kbuild switches them off in silence.
void compare_plugins(const KernelConfig& kernel, const Toolchain& toolchain,
                     std::vector<ToolDifference>& differences) {
  std::smatch plugin;
  if (!std::regex_search(kernel.config_text, plugin, std::regex("\nCONFIG_(GCC_PLUGIN_[A-Z_]+)=y")))
    return;
  std::string folder = first_line_of(kernel, toolchain.cc + " -print-file-name=plugin");
  fs::path there = (kernel.root.empty() ? "/" : kernel.root) / fs::path(folder).relative_path();
  if (!folder.empty() && fs::exists(there / "include/plugin-version.h")) return;
  differences.push_back({"the compiler's plugins", plugin[1].str(), "no headers for plugins",
                         compiler_package(toolchain.wanted) + "-plugin-dev"});
}

// Without pahole kbuild switches off the options of BTF, and with them members of struct module: a
// module made so has its exit function where the kernel does not look.
void compare_pahole(const KernelConfig& kernel, const Toolchain& toolchain,
                    std::vector<ToolDifference>& differences) {
  if (config_value(kernel.config_text, "DEBUG_INFO_BTF") == "y" && toolchain.pahole.empty())
    differences.push_back({"pahole", "needed for CONFIG_DEBUG_INFO_BTF", "none", "pahole"});
}

// Options that depend on tools, or on who builds, and change neither code nor layouts.
bool is_harmless_option(const std::string& name) {
  static const std::regex Harmless(
      ".*(VERSION|_HAS_).*|(.*_)?RUSTC?(_.*)?|CC_.*|AS_.*|LD_.*|TOOLS_SUPPORT_.*|GCC_ASM_.*|"
      "GCC[0-9]*_NO_.*|HAVE_.*|ARCH_.*|BUILD_SALT|MODULE_SIG_(ALL|KEY)|SYSTEM_.*_KEYS|"
      "LOCALVERSION.*");
  return std::regex_match(name, Harmless);
}

// Drivers of 7.3 that are written in Rust. Of C, only drm_panic.c asks for one of them, and the
// match with the running code sees that.
bool is_in_rust(const std::string& name) {
  return name == "AMCC_QT2025_PHY" || name == "DRM_PANIC_SCREEN_QR_CODE";
}

// The names of the options that are set, with their values.
std::map<std::string, std::string> options_of(const std::string& text) {
  std::map<std::string, std::string> set;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    size_t equals = line.find('=');
    if (line.starts_with("CONFIG_") && equals != std::string::npos)
      set[line.substr(7, equals - 7)] = line.substr(equals + 1);
  }
  return set;
}

// The headers' own configuration is that of the build that the kernel came from.
void compare_options(const KernelConfig& kernel, std::vector<ToolDifference>& differences) {
  constexpr size_t Shown = 5;
  const fs::path theirs = kernel.build / ".config";
  if (kernel.build.empty() || !fs::exists(theirs)) return;
  auto there = options_of(read_text(theirs)), here = options_of(kernel.config_text);
  std::set<std::string> names;
  for (const auto& options : {there, here})
    for (const auto& [name, value] : options)
      if (there[name] != here[name] && !is_harmless_option(name)) names.insert(name);
  if (names.empty()) return;
  std::string wanted, found;
  for (const std::string& name : names | std::views::take(Shown)) {
    auto text = [&](std::string value) {
      return name + (value.empty() ? " off, " : "=" + value + ", ");
    };
    wanted += text(there[name]);
    found += text(here[name]);
  }
  const std::string more =
      names.size() > Shown ? fmt::format("and {} further options, ", names.size() - Shown) : "";
  differences.push_back({"the configuration",
                         fmt::format("{}{}in {}", wanted, more, theirs.string()),
                         fmt::format("{}{}in {}", found, more, kernel.config.string()), ""});
}

}  // namespace

std::string flag_value(const KernelConfig& kernel, const std::string& name) {
  for (const std::string& word : kernel.flags)
    if (word.starts_with(name + "=")) return word.substr(name.size() + 1);
  return "";
}

std::string compiler_package(const std::string& version) {
  std::vector<std::string> names = compiler_names(version);
  for (const std::string& name : names)
    if (std::regex_match(name, std::regex("(gcc|clang)-[0-9]+"))) return name;
  return names.front();
}

Toolchain find_toolchain(const KernelConfig& kernel) {
  Toolchain toolchain;
  toolchain.wanted = config_value(kernel.config_text, "CC_VERSION_TEXT");
  std::string pahole = flag_value(kernel, "PAHOLE");
  toolchain.pahole = first_line_of(kernel, (pahole.empty() ? "pahole" : pahole) + " --version");
  std::vector<std::string> names = compiler_names(toolchain.wanted);
  std::string given = flag_value(kernel, "CC");
  std::string package = compiler_package(toolchain.wanted);
  if (!given.empty()) {
    names = {given};
    package = given.substr(given.rfind(' ') + 1);
  } else if (uses_llvm(kernel)) {
    names = {llvm_tool(flag_value(kernel, "LLVM"), "clang")};
    package = "clang, lld and llvm";
    std::string linker = llvm_tool(flag_value(kernel, "LLVM"), "ld.lld");
    if (first_line_of(kernel, linker + " --version").empty())
      throw Error("no_compiler", fmt::format("LLVM is given, and {} cannot be run", linker),
                  "install the packages " + package);
  } else if (toolchain.wanted.find("clang version") != std::string::npos) {
    throw Error(
        "bad_config",
        fmt::format("{}: the kernel was built with \"{}\", and no flags file says LLVM=1",
                    kernel.name, toolchain.wanted),
        "write LLVM=1, or LLVM=-14 for the tools of one version, into the file flags of the "
        "configuration directory");
  }
  for (const std::string& name : names) {
    if (name.empty()) continue;
    std::string version = first_line_of(kernel, name + " --version");
    if (version.empty()) continue;
    bool same = without_name(version) == without_name(toolchain.wanted);
    if (!toolchain.cc.empty() && !same) continue;
    toolchain.cc = name;
    toolchain.version = version;
    toolchain.same = same;
    if (same) break;
  }
  if (toolchain.cc.empty())
    throw Error("no_compiler",
                given.empty() ? fmt::format("no compiler found; the kernel was built with {}",
                                            toolchain.wanted)
                              : fmt::format("the compiler of CC={} cannot be run", given),
                advice_for(kernel, "install the package " + package));
  return toolchain;
}

std::vector<ToolDifference> compare_tools(const KernelConfig& kernel, const Toolchain& toolchain) {
  std::vector<ToolDifference> differences;
  if (!toolchain.same && !toolchain.wanted.empty())
    differences.push_back({"the compiler", toolchain.wanted,
                           fmt::format("{}, which is {}", toolchain.cc, toolchain.version),
                           compiler_package(toolchain.wanted)});
  compare_versions(kernel, differences);
  compare_plugins(kernel, toolchain, differences);
  compare_pahole(kernel, toolchain, differences);
  compare_options(kernel, differences);
  return differences;
}

std::vector<std::string> check_tools(const KernelConfig& kernel,
                                     const std::vector<ToolDifference>& differences, bool skip) {
  std::vector<std::string> notes;
  std::set<std::string> packages;
  for (const ToolDifference& difference : differences) {
    notes.push_back(fmt::format("{} that built the kernel is {}; here is {}", difference.what,
                                difference.wanted, difference.found));
    if (!difference.package.empty()) packages.insert(difference.package);
  }
  if (notes.empty() || skip) return notes;
  std::string advice = packages.empty()
                           ? ""
                           : advice_for(kernel, "install in the kernel's version: " +
                                                    fmt::format("{}", fmt::join(packages, ", ")));
  throw Error("wrong_toolchain", fmt::format("{}", fmt::join(notes, "\n")),
              advice + (advice.empty() ? "give" : "; or give") +
                  " --skip-toolchain-check: run-pre matching still has the last word");
}

std::string other_compiler_of_banner(const std::string& banner, const std::string& config_text) {
  std::string wanted = without_name(config_value(config_text, "CC_VERSION_TEXT"));
  if (wanted.empty() || banner.empty() || banner.find(wanted) != std::string::npos) return "";
  std::smatch found;  // "Linux version R (builder) (gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld ...)"
  if (!std::regex_search(banner, found, std::regex("\\) \\(([^,]+), "))) return "";
  return found[1].str();
}

std::string other_version(const std::string& banner, const fs::path& tree) {
  const std::string makefile = "\n" + read_text(tree / "Makefile");
  auto part = [&](const char* name) {
    std::smatch found;
    std::regex line(fmt::format("\n{} = *([0-9]+)", name));
    return std::regex_search(makefile, found, line) ? found[1].str() : "0";
  };
  std::string series = part("VERSION") + "." + part("PATCHLEVEL"), sub = part("SUBLEVEL");
  // Debian's says "#1 SMP ... Debian 6.1.192-2", and 6.1.0 in its release.
  std::smatch found;
  if (!std::regex_search(banner, found, std::regex("#.* Debian ([0-9]+\\.[0-9]+)\\.?([0-9]*)")) &&
      !std::regex_search(banner, found, std::regex("^Linux version ([0-9]+\\.[0-9]+)\\.?([0-9]*)")))
    return "";
  const bool debian = found[0].str().starts_with("#");
  const std::string its_sub = found[2].str().empty() ? "0" : found[2].str();
  // Others, too, keep 0 in the release whatever the version is.
  const bool same_sub = its_sub == sub || (!debian && its_sub == "0");
  if (found[1] == series && same_sub) return "";
  return found[1].str() + "." + its_sub;
}

std::vector<std::string> lost_options(const std::string& wanted, const std::string& made) {
  std::map<std::string, std::string> have = options_of(made);
  const bool without_rust = !have.contains("RUST");
  std::vector<std::string> lost;
  for (const auto& [name, value] : options_of(wanted))
    if ((value == "y" || value == "m") && !have.contains(name) && !is_harmless_option(name) &&
        !(without_rust && is_in_rust(name)))
      lost.push_back(name);
  return lost;
}

std::vector<std::string> options_unknown_to(const fs::path& tree, std::vector<std::string> names) {
  const std::regex definition("^\\s*(menu)?config\\s+(\\w+)\\s*$");
  std::set<std::string> unknown(names.begin(), names.end());
  // Folders are real in a source; links to some lead back into it (obj/source).
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(tree)) {
    if (!entry.path().filename().string().starts_with("Kconfig")) continue;
    std::istringstream stream(entry.is_regular_file() ? read_text(entry.path()) : "");
    std::smatch found;
    for (std::string line; std::getline(stream, line);)
      if (std::regex_match(line, found, definition)) unknown.erase(found[2].str());
  }
  return {unknown.begin(), unknown.end()};
}

}  // namespace ksplice
