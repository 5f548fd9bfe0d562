// kbuild links a module of the tree only after vmlinux.o, whose symbols' versions it needs. Without
// that hour of work the module is made in two steps: its objects are compiled in the tree with the
// kernel's own flags, and an external build links them, with the versions of the headers package.
// What it exports itself has its versions in the objects' .cmd files ("#SYMVER name crc").

#include "create/cold_modules.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "create/units.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

// The kernel's own way to compile: objtool when it would run, no sections of our own.
Kbuild plain_kbuild(const Kbuild& kbuild) {
  Kbuild plain = kbuild;
  std::erase(plain.words, "delay-objtool=y");
  for (std::string& word : plain.words) {
    if (!word.starts_with("KCFLAGS=")) continue;
    for (const char* flag : {"-ffunction-sections", "-fdata-sections"}) {
      size_t at = word.find(flag);
      if (at != std::string::npos) word.erase(at, std::string(flag).size());
    }
    word += " -g0";
  }
  return plain;
}

[[noreturn]] void fail(const std::string& module, const MakeResult& run) {
  throw Error("module_failed",
              fmt::format("kbuild cannot make the whole module {} with the patch:\n{}", module,
                          without_chatter(run.output)),
              "without --build-modules only the update is made");
}

// The objects that the patched tree links into module. unit is one of them.
std::vector<std::string> parts_of(const Kbuild& kbuild, const std::string& module,
                                  const std::string& unit) {
  UnitTable table(kbuild, kbuild.obj / ".ksplice-patched-units");
  table.find(unit.substr(0, unit.size() - 2) + ".c");
  std::vector<std::string> parts = table.parts_of(module);
  if (parts.empty())
    throw Error("module_failed", fmt::format("no Makefile names the objects of {}", module));
  return parts;
}

// Takes a compiled object into folder, as one that needs no making.
void take_object(const Kbuild& kbuild, const std::string& part, const fs::path& folder,
                 const std::string& name) {
  fs::path object = kbuild.obj / part;
  fs::path cmd = object.parent_path() / ("." + object.filename().string() + ".cmd");
  fs::copy_file(object, folder / name);
  std::string text =
      fmt::format("savedcmd_{0} := true\ncmd_{0} := true\n", (folder / name).string());
  std::istringstream stream(fs::exists(cmd) ? read_text(cmd) : "");
  for (std::string line; std::getline(stream, line);)
    if (line.starts_with("#SYMVER")) text += line + "\n";
  write_file(folder / ("." + name + ".cmd"), text);
}

fs::path build_cold_module(const Kbuild& kbuild, const std::string& module, const std::string& unit,
                           const fs::path& folder) {
  Kbuild plain = plain_kbuild(kbuild);
  std::vector<std::string> parts = parts_of(kbuild, module, unit);
  MakeResult compiled = run_make(plain, parts);
  for (const std::string& part : parts)
    if (compiled.status != 0 || !fs::exists(kbuild.obj / part)) fail(module, compiled);
  fs::create_directories(folder);
  std::string text = fmt::format("obj-m := {}.o\n", module);
  if (parts.size() == 1) {
    take_object(kbuild, parts.front(), folder, module + ".o");
  } else {
    text += module + "-y :=";
    for (size_t i = 0; i < parts.size(); ++i) {
      take_object(kbuild, parts[i], folder, fmt::format("part{}.o", i));
      text += fmt::format(" part{}.o", i);
    }
  }
  write_file(folder / "Kbuild", text + "\n");
  MakeResult linked = run_make(plain, {"M=" + folder.string(), "modules"});
  fs::path result = folder / (module + ".ko");
  if (linked.status != 0 || !fs::exists(result)) fail(module, linked);
  return result;
}

}  // namespace

std::map<std::string, fs::path> build_cold_modules(const Kbuild& kbuild,
                                                   const std::vector<std::string>& targets,
                                                   const std::vector<ObjectPair>& pairs,
                                                   const fs::path& folder) {
  std::map<std::string, fs::path> modules;
  for (const std::string& target : targets) {
    auto pair = std::find_if(pairs.begin(), pairs.end(),
                             [&](const ObjectPair& each) { return each.target == target; });
    if (target == "vmlinux" || pair == pairs.end()) continue;
    modules[target] = build_cold_module(kbuild, target, pair->unit, folder / target);
  }
  return modules;
}

std::map<std::string, fs::path> build_cold_external(const Kbuild& kbuild,
                                                    const std::vector<std::string>& targets,
                                                    const fs::path& source) {
  MakeResult run = run_make(plain_kbuild(kbuild), {"M=" + source.string(), "modules"});
  if (run.status != 0) fail(fmt::format("{}", fmt::join(targets, ", ")), run);
  std::map<std::string, fs::path> modules;
  for (const auto& entry : fs::recursive_directory_iterator(source)) {
    if (entry.path().extension() != ".ko") continue;
    std::string name = entry.path().stem().string();
    std::replace(name.begin(), name.end(), '-', '_');
    if (std::find(targets.begin(), targets.end(), name) != targets.end())
      modules[name] = entry.path();
  }
  for (const std::string& target : targets)
    if (!modules.contains(target)) fail(target, run);
  return modules;
}

}  // namespace ksplice
