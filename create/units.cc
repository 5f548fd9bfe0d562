#include "create/units.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <sstream>
#include <thread>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

// Evaluates one folder's Makefile as scripts/Makefile.build does, as far as its lists go.
constexpr const char* ProbeMakefile = R"mk(
srctree := ..
objtree := .
SRCARCH := x86
ARCH := x86
BITS := 64
CONFIG_SHELL := sh
export srctree objtree SRCARCH ARCH BITS CONFIG_SHELL
src := $(if $(KSPLICE_SRC_IS_PATH),$(srctree)/$(obj),$(obj))
-include include/config/auto.conf
-include $(srctree)/scripts/Kbuild.include
-include $(firstword $(wildcard $(srctree)/$(obj)/Kbuild $(srctree)/$(obj)/Makefile))
ksplice_parts = $(strip $(foreach s,$(2),$($(1:.o=$(s)))))
ksplice_show = $(foreach o,$(filter %.o,$(2)),$(if $(call ksplice_parts,$(o),$(3)),\
  $(foreach p,$(call ksplice_parts,$(o),$(3)),$(info ksplice-unit $(1) $(p) $(o:.o=))),\
  $(info ksplice-unit $(1) $(o) $(o:.o=))))
$(call ksplice_show,y,$(obj-y) $(lib-y),-objs -y)
$(call ksplice_show,m,$(obj-m) $(lib-m),-objs -y -m)
$(foreach d,$(filter %/,$(obj-y) $(obj-m) $(libs-y)),$(info ksplice-folder $(d)))
.PHONY: ksplice-probe-done
ksplice-probe-done: ; @:
.DEFAULT_GOAL := ksplice-probe-done
)mk";

// Folders that the top Makefile and arch/x86/Makefile descend into by themselves.
constexpr const char* Roots[] = {
    ".",   "arch/x86", "arch/x86/lib", "arch/x86/pci", "arch/x86/power", "arch/x86/video",
    "lib", "virt"};

std::string module_name(std::string path) {
  path = path.substr(path.rfind('/') + 1);
  std::replace(path.begin(), path.end(), '-', '_');
  return path;
}

std::string source_of(const std::string& goal) {
  std::string path = fs::path(goal).lexically_normal().string();
  return path.substr(0, path.size() - 2) + ".c";
}

}  // namespace

std::vector<std::string> split_modules(const std::string& modules) {
  std::vector<std::string> single;
  std::istringstream stream(modules);
  for (std::string module; std::getline(stream, module, ':');) single.push_back(module);
  return single;
}

std::optional<UnitTable::Folder> UnitTable::probe(const std::string& folder) const {
  static const std::string SourceIsPath = "src := $(srctree)/$(obj)";
  bool path =
      read_text(kbuild_.tree / "scripts/Makefile.build").find(SourceIsPath) != std::string::npos;
  CommandOptions options;
  options.directory = kbuild_.obj;
  options.input = ProbeMakefile;
  options.env = {{"LC_ALL", "C"}};
  options.plain_env = true;
  options.own_temporary = true;
  std::vector<std::string> argv = {"make", "-rRs", "-I", "..", "-f", "-", "obj=" + folder};
  if (path) argv.push_back("KSPLICE_SRC_IS_PATH=1");
  for (const std::string& word : kbuild_.words)
    if (!word.starts_with("KCFLAGS=")) argv.push_back(word);
  CommandResult run = run_command(in_root(kbuild_.root, kbuild_.outlook, argv), options);
  if (run.status != 0) return std::nullopt;
  Folder result;
  std::istringstream stream(run.output);
  std::string line;
  std::string prefix = folder == "." ? "" : folder + "/";
  while (std::getline(stream, line)) {
    std::istringstream words(line);
    std::string kind, state, part, whole;
    words >> kind >> state >> part >> whole;
    if (kind == "ksplice-folder" && !state.empty())
      result.folders.push_back(
          fs::path(prefix + state.substr(0, state.size() - 1)).lexically_normal().string());
    else if (kind == "ksplice-unit" && !whole.empty() && part.ends_with(".o"))
      result.units.push_back({prefix + part, state == "m" ? module_name(whole) : ""});
  }
  return result;
}

void UnitTable::add(const Folder& folder) {
  for (const ConfiguredUnit& unit : folder.units) add(unit);
}

void UnitTable::add(const ConfiguredUnit& unit) {
  auto [known, is_new] = units_.emplace(source_of(unit.goal), unit);
  if (is_new || known->second.module.empty() || unit.module.empty()) return;
  const std::vector<std::string> modules = split_modules(known->second.module);
  if (std::find(modules.begin(), modules.end(), unit.module) == modules.end())
    known->second.module += ":" + unit.module;
}

std::optional<ConfiguredUnit> UnitTable::find(const std::string& source) {
  if (!complete_ && fs::exists(cache_file_)) all();
  for (std::string folder = source; !complete_;) {
    size_t slash = folder.rfind('/');
    if (slash == std::string::npos) break;
    folder.resize(slash);
    // Some makefiles are read by that of the folder above only.
    if (probed_.insert(folder).second)
      if (const std::optional<Folder> found = probe(folder)) add(*found);
    if (units_.contains(source)) break;
  }
  if (!units_.contains(source)) all();
  auto found = units_.find(source);
  return found == units_.end() ? std::nullopt : std::optional(found->second);
}

const std::map<std::string, ConfiguredUnit>& UnitTable::all() {
  if (complete_) return units_;
  units_.clear();
  if (!fs::exists(cache_file_)) walk();
  std::istringstream stream(read_text(cache_file_));
  ConfiguredUnit unit;
  std::string module;
  while (stream >> unit.goal >> module) {
    unit.module = module == "-" ? "" : module;
    add(unit);
  }
  complete_ = true;
  return units_;
}

std::vector<std::string> UnitTable::parts_of(const std::string& module) const {
  std::vector<std::string> parts;
  for (const auto& [source, unit] : units_) {
    const std::vector<std::string> modules = split_modules(unit.module);
    if (std::find(modules.begin(), modules.end(), module) != modules.end())
      parts.push_back(unit.goal);
  }
  return parts;
}

void UnitTable::walk() {
  std::set<std::string> seen;
  std::vector<std::string> wave(std::begin(Roots), std::end(Roots));
  std::string text;
  while (!wave.empty()) {
    std::vector<std::string> todo;
    for (const std::string& folder : wave)
      if (seen.insert(folder).second) todo.push_back(folder);
    wave.clear();
    std::vector<Folder> results(todo.size());
    std::atomic<size_t> next = 0;
    std::vector<std::future<void>> workers;
    for (unsigned i = 0; i < std::max(1u, kbuild_.jobs); ++i)
      workers.push_back(std::async(std::launch::async, [&] {
        for (size_t at = next++; at < todo.size(); at = next++) {
          std::optional<Folder> found = probe(todo[at]);
          // One that cannot be read is not one without units: nothing is kept then.
          if (!found)
            throw Error("failed", fmt::format("make cannot tell which units {} has", todo[at]),
                        "see what make says to that folder's makefile in SOURCE");
          results[at] = std::move(*found);
        }
      }));
    for (std::future<void>& worker : workers) worker.get();
    for (const Folder& folder : results) {
      for (const ConfiguredUnit& unit : folder.units)
        text += unit.goal + " " + (unit.module.empty() ? "-" : unit.module) + "\n";
      wave.insert(wave.end(), folder.folders.begin(), folder.folders.end());
    }
  }
  write_file(cache_file_, text);
}

}  // namespace ksplice
