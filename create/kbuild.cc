// Units are compiled as kbuild's single targets. Their .o are pure compiler output: with
// delay-objtool=y kbuild does not run objtool on them; it runs once, over the finished update
// module.
//
// Which target a unit belongs to is what kbuild itself says on the compiler's command line, as
// recorded in .cmd: -DMODULE for parts of modules, and the module's name in KBUILD_MODNAME.

#include "create/kbuild.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <regex>
#include <set>
#include <sstream>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

constexpr const char* SectionFlags = "-ffunction-sections -fdata-sections";
constexpr uintmax_t FullDisk = 1 << 20;  // bytes free, after make took away what it did not finish
constexpr const char* ToolVersion = "ksplice-create 1.0.0 layout 2";

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

bool is_chatter(const std::string& line) {
  static const std::regex Quiet(
      "^make(\\[[0-9]+\\])?: (Entering|Leaving) directory.*|^  [A-Z0-9_]+ +(\\[M\\] +)?[^ ].*|"
      "^make(\\[[0-9]+\\])?: .*(is up to date|Nothing to be done|not remade because).*|^#$|"
      "^make(\\[[0-9]+\\])?: \\*\\*\\* \\[.*\\] Error [0-9]+|"
      "^make(\\[[0-9]+\\])?: warning: jobserver.*");
  return line.empty() || std::regex_match(line, Quiet);
}

void remove_unit(const Kbuild& kbuild, const std::string& unit) {
  fs::path object = kbuild.obj / unit;
  std::error_code none;
  fs::remove(object, none);
  fs::remove(object.parent_path() / ("." + object.filename().string() + ".cmd"), none);
  fs::remove(object.parent_path() / ("." + object.filename().string() + ".d"), none);
}

std::string quoted_define(const std::string& command, const std::string& name) {
  std::smatch found;
  std::regex wanted("-D" + name + "='?\"?([^\"' ]+)\"?'?");
  return std::regex_search(command, found, wanted) ? found[1].str() : "";
}

void sort_unique(std::vector<std::string>& list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

// What the template in the overlay depends on.
std::string template_key(const Overlay& overlay, const KernelConfig& kernel,
                         const Toolchain& toolchain) {
  std::string text =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n", ToolVersion, overlay.signature(), kernel.release,
                  toolchain.cc, toolchain.version, toolchain.pahole, kernel.kcflags);
  for (const std::string& flag : kernel.flags) text += flag + "\n";
  return hash_text(text + kernel.config_text + kernel.root.string());
}

}  // namespace

Kbuild make_kbuild(const Overlay& overlay, const KernelConfig& kernel, const Toolchain& toolchain,
                   unsigned jobs) {
  Kbuild kbuild;
  kbuild.tree = overlay.tree();
  kbuild.obj = overlay.obj();
  kbuild.root = kernel.root;
  kbuild.outlook = {{overlay.tree().parent_path()}, overlay.outside()};
  kbuild.outlook.readable.push_back(overlay.source());
  for (const fs::path& table : symbol_tables(kernel.flags))
    if (fs::exists(table)) kbuild.outlook.readable.push_back(fs::absolute(table));
  kbuild.jobs = jobs;
  kbuild.words = kernel.flags;
  if (flag_value(kernel, "CC").empty() && flag_value(kernel, "LLVM").empty())
    kbuild.words.push_back("CC=" + toolchain.cc);
  kbuild.words.push_back("KERNELRELEASE=" + kernel.release);
  kbuild.words.push_back("delay-objtool=y");
  std::string kcflags = kernel.kcflags.empty() ? SectionFlags : kernel.kcflags + " " + SectionFlags;
  kbuild.words.push_back("KCFLAGS=" + kcflags);
  return kbuild;
}

std::string tree_key(const KernelConfig& kernel, const Toolchain& toolchain) {
  return hash_text(kernel.config_text + fmt::format("{}", fmt::join(kernel.flags, "\n")) +
                   kernel.kcflags + toolchain.cc + kernel.release + kernel.root.string());
}

std::string build_key(const Overlay& overlay, const KernelConfig& kernel,
                      const Toolchain& toolchain) {
  return hash_text(template_key(overlay, kernel, toolchain) + read_text(overlay.obj() / ".config"));
}

std::vector<fs::path> symbol_tables(const std::vector<std::string>& words) {
  std::vector<fs::path> tables;
  for (const std::string& word : words) {
    if (!word.starts_with("KBUILD_EXTRA_SYMBOLS=")) continue;
    std::istringstream stream(word.substr(word.find('=') + 1));
    for (std::string table; stream >> table;) tables.push_back(table);
  }
  return tables;
}

CommandResult run_for_build(const Kbuild& kbuild, const std::vector<std::string>& argv) {
  CommandOptions options;
  options.env = {{"LC_ALL", "C"}};
  options.plain_env = true;
  options.watch = kbuild.watch;
  options.dies_with_us = true;
  options.own_temporary = true;
  return run_command(in_root(kbuild.root, kbuild.outlook, argv), options);
}

MakeResult run_make(const Kbuild& kbuild, const std::vector<std::string>& goals) {
  std::vector<std::string> argv = {"make", "-C", kbuild.tree.string(), "O=obj",
                                   fmt::format("-j{}", kbuild.jobs)};
  argv.insert(argv.end(), kbuild.words.begin(), kbuild.words.end());
  argv.insert(argv.end(), goals.begin(), goals.end());
  CommandResult run = run_for_build(kbuild, argv);
  // Some of the programs that make runs do not say why they cannot write.
  if (run.status != 0 && (run.output.find(std::strerror(ENOSPC)) != std::string::npos ||
                          fs::space(kbuild.obj).available < FullDisk))
    throw Error("no_space",
                fmt::format("a disk is full: {} or the folder for temporary files\n{}",
                            kbuild.obj.string(), without_chatter(run.output)),
                "make room, or name another place with --cache and $TMPDIR");
  return {run.status, run.output};
}

std::string without_chatter(const std::string& output) {
  std::istringstream stream(output);
  std::string line, result;
  while (std::getline(stream, line))
    if (!is_chatter(line)) result += line + "\n";
  return result;
}

bool prepare(Overlay& overlay, const Kbuild& kbuild, const KernelConfig& kernel,
             const Toolchain& toolchain) {
  std::string key = template_key(overlay, kernel, toolchain);
  if (overlay.restore_template(key) &&
      lost_options(kernel.config_text, read_text(overlay.obj() / ".config")).empty()) {
    fs::copy_file(kernel.build / "Module.symvers", overlay.obj() / "Module.symvers",
                  fs::copy_options::overwrite_existing);
    return false;
  }
  overlay.drop_template();
  write_file(overlay.obj() / ".config", kernel.config_text);
  for (const char* seed :
       {"scripts/basic/randstruct.seed", "scripts/gcc-plugins/randomize_layout_seed.h"})
    if (fs::exists(kernel.build / seed)) {
      fs::create_directories((overlay.obj() / seed).parent_path());
      fs::copy_file(kernel.build / seed, overlay.obj() / seed);
    }
  for (const char* goal : {"olddefconfig", "modules_prepare"}) {
    MakeResult run = run_make(kbuild, {goal});
    if (run.status != 0)
      throw Error("prepare_failed",
                  fmt::format("make {} failed for {}:\n{}", goal, overlay.source().string(),
                              without_chatter(run.output)),
                  "the packages that the kernel's own build needs must be installed: "
                  "apt-get build-dep linux, or flex bison bc libelf-dev libssl-dev");
  }
  fs::copy_file(kernel.build / "Module.symvers", overlay.obj() / "Module.symvers",
                fs::copy_options::overwrite_existing);
  overlay.save_template(key);
  return true;
}

BuiltUnit parse_cmd_file(const std::string& text, const std::string& unit) {
  BuiltUnit built;
  built.name = unit;
  std::string command = first_line(text);
  if (command.find(" := ") == std::string::npos)
    throw Error("failed", fmt::format("kbuild recorded no command for {}", unit));
  built.command = command.substr(command.find(" := ") + 4);
  bool module = command.find(" -DMODULE ") != std::string::npos;
  built.target = module ? quoted_define(command, "KBUILD_MODNAME") : "vmlinux";
  // kbuild does not name the module to the assembler.
  bool assembly = text.find("\nsource_" + unit + " := ") != text.npos &&
                  first_line(text.substr(text.find("\nsource_" + unit) + 1)).ends_with(".S");
  if (built.target.empty() && !assembly)
    throw Error("failed", fmt::format("kbuild's command for {} names no module", unit));
  std::istringstream stream(text);
  std::string line;
  std::vector<std::string> files;
  bool dependencies = false;
  while (std::getline(stream, line)) {
    if (std::istringstream words(line); line.starts_with("#SYMVER ")) {
      std::string mark, name, sum;
      words >> mark >> name >> sum;
      built.checksums[name] = static_cast<uint32_t>(std::strtoul(sum.c_str(), nullptr, 16));
      continue;
    }
    if (line.starts_with("source_" + unit)) {
      line = "  " + line.substr(line.find(" := ") + 4);
    } else if (line.starts_with("deps_" + unit)) {
      dependencies = true;
      continue;
    } else if (!dependencies || line.find_first_not_of(" \t\\") == std::string::npos) {
      dependencies = dependencies && !line.empty();
      continue;
    }
    size_t begin = line.find_first_not_of(" \t");
    std::string path = line.substr(begin, line.find_last_not_of(" \t\\") - begin + 1);
    if (path.starts_with("$(")) continue;
    files.push_back(std::move(path));
  }
  set_dependencies(built, files);
  return built;
}

void set_dependencies(BuiltUnit& built, const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    const std::string path = fs::path(file).lexically_normal().string();
    if (path.starts_with("../"))
      built.sources.push_back(path.substr(3));
    else if (path.starts_with("/"))
      built.outside.push_back(path);
    else
      built.generated.push_back(path);
  }
  for (auto* list : {&built.sources, &built.generated, &built.outside}) sort_unique(*list);
}

BuildResult build_units(const Kbuild& kbuild, const std::vector<std::string>& units) {
  BuildResult result;
  if (units.empty()) return result;
  for (const std::string& unit : units) remove_unit(kbuild, unit);
  std::vector<std::string> goals = {"-k"};
  goals.insert(goals.end(), units.begin(), units.end());
  MakeResult run = run_make(kbuild, goals);
  result.output = without_chatter(run.output);
  for (const std::string& unit : units) {
    fs::path object = kbuild.obj / unit;
    fs::path cmd = object.parent_path() / ("." + object.filename().string() + ".cmd");
    if (fs::exists(object) && fs::exists(cmd)) {
      BuiltUnit built = parse_cmd_file(read_text(cmd), unit);
      built.object = object;
      result.built.push_back(std::move(built));
    } else if (run.output.find("No rule to make target '" + unit + "'") != std::string::npos) {
      result.no_rule.push_back(unit);
    } else {
      result.failed.push_back(unit);
    }
  }
  return result;
}

}  // namespace ksplice
