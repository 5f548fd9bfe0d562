// Makes an update that replaces nothing and proves much: `ksplice-apply --check` of it compares
// every matched function of the given units with the running kernel.
//
//   check_tarball --config DIR --source SRC --cache DIR [--list FILE] UNIT...
//
// A UNIT is named as kbuild does, "net/ipv4/tcp_input.o", and compiled as ksplice-create compiles
// it, or taken from its cache, where it stays for the next time. FILE has further ones, one a line;
// what a configuration has not is left out, and named. Prints how many functions of how many units
// of how many targets the update names, and writes the functions, with their targets, to
// OUTPUT/functions.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <deque>
#include <sstream>

#include "create/config_dir.h"
#include "create/fleet.h"
#include "create/kbuild.h"
#include "create/object_cache.h"
#include "create/overlay.h"
#include "objdiff/base/file.h"
#include "objdiff/base/tool.h"
#include "objdiff/object/atoms.h"
#include "objdiff/object/elf_read.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

struct Options {
  fs::path config, source, output = ".", cache, list;
  std::string id = "check";
  std::vector<std::string> units;
};

// The units of each target, with all that make_check_object needs; addresses must stay.
struct CheckTarget {
  std::deque<Object> objects;
  std::deque<MatchResult> matches;
  std::vector<Unit> units;
};

// What is compiled stays in the cache, twenty units after twenty: an interrupted run is not lost.
void compile(const Kbuild& kbuild, ObjectCache& cache, const Overlay& overlay,
             const std::vector<std::string>& units, std::vector<BuiltUnit>& built) {
  constexpr size_t AtOnce = 20;
  for (size_t start = 0; start < units.size(); start += AtOnce) {
    const size_t end = std::min(units.size(), start + AtOnce);
    BuildResult result = build_units(kbuild, {units.begin() + start, units.begin() + end});
    if (!result.failed.empty())
      throw Error("compile_failed", result.failed.front() + " was not compiled:\n" + result.output);
    for (const std::string& unit : result.no_rule) fmt::print("left out: {}\n", unit);
    for (BuiltUnit& unit : result.built) {
      cache.store(unit);
      fs::path kept = overlay.work("2-pre") / flat_name(unit.name);
      fs::copy_file(unit.object, kept, fs::copy_options::overwrite_existing);
      unit.object = kept;
      built.push_back(std::move(unit));
    }
  }
}

std::vector<BuiltUnit> find_units(const Options& options, const Kbuild& kbuild,
                                  const Overlay& overlay, const std::string& key) {
  std::vector<std::string> names = options.units, missing;
  if (!options.list.empty()) {
    std::istringstream lines(read_text(options.list));
    for (std::string line; std::getline(lines, line);)
      if (!line.empty() && !line.starts_with('#')) names.push_back(line);
  }
  SourceFiles files(overlay.source());
  ObjectCache cache(options.cache, key, files);
  std::vector<BuiltUnit> built;
  for (const std::string& name : names) {
    BuiltUnit unit;
    if (cache.load(name, overlay.work("2-pre") / flat_name(name), unit))
      built.push_back(std::move(unit));
    else
      missing.push_back(name);
  }
  compile(kbuild, cache, overlay, missing, built);
  std::sort(built.begin(), built.end(),
            [](const BuiltUnit& a, const BuiltUnit& b) { return a.name < b.name; });
  return built;
}

void add_unit(CheckTarget& target, const BuiltUnit& built, const RunImage& image) {
  Object& object = target.objects.emplace_back(read_object(built.object.string()));
  normalise(object);
  MatchResult& match = target.matches.emplace_back(match_run_pre(object, image));
  target.units.push_back({built.name, &object, nullptr, nullptr, &match});
}

std::vector<TargetUpdate> make_updates(const std::map<std::string, CheckTarget>& targets,
                                       Images& images, const std::string& id,
                                       std::string& functions) {
  UpdateInfo info;
  info.id = id;
  info.description = "compares the running kernel with what was compiled";
  info.nr_objects = static_cast<uint32_t>(targets.size());
  std::vector<TargetUpdate> updates;
  for (const auto& [name, target] : targets) {
    UpdateObject update = make_check_object(target.units, images.get(name), images.vmlinux(), info);
    for (const std::string& function : update.replaced) functions += function + " " + name + "\n";
    updates.push_back({name, fmt::format("ksplice_{}_{}", id, name), std::move(update)});
  }
  return updates;
}

int make(const Options& options) {
  KernelConfig kernel = read_config_dir(options.config);
  Toolchain toolchain = find_toolchain(kernel);
  Overlay overlay(options.cache, options.source, tree_key(kernel, toolchain));
  Kbuild kbuild = make_kbuild(overlay, kernel, toolchain, 2);
  prepare(overlay, kbuild, kernel, toolchain);
  const std::vector<Package> lowers;
  Images images(kernel, options.cache / "images", overlay.work("4-images"), lowers);

  std::map<std::string, CheckTarget> targets;
  const std::string key = build_key(overlay, kernel, toolchain);
  const std::vector<BuiltUnit> units = find_units(options, kbuild, overlay, key);
  for (const BuiltUnit& built : units) {
    std::istringstream names(built.target);  // "a:b": the object is in both
    for (std::string name; std::getline(names, name, ':');)
      add_unit(targets[name], built, images.get(name));
  }
  std::string functions;
  std::vector<TargetUpdate> updates = make_updates(targets, images, options.id, functions);
  write_file(options.output / "functions", functions);

  BuiltModules modules =
      build_modules(kbuild, updates, overlay.work() / "5-modules", options.cache / "core", key,
                    // as kbuild does it
                    false);
  Package package;
  package.id = options.id;
  package.description = "compares the running kernel with what was compiled";
  package.created = "1970-01-01T00:00:00Z";
  package.tool = "tests/whole/check_tarball";
  package.files["patch"];
  add_part(make_part(updates, {}, images, modules, kernel.release,
                     kernel_folder(package, kernel.release, images.vmlinux().build_id)),
           package);
  write_package(package, options.output.string());
  fmt::print("{} functions of {} units in {} targets\n",
             std::count(functions.begin(), functions.end(), '\n'), units.size(), targets.size());
  return ExitDone;
}

}  // namespace
}  // namespace ksplice

int main(int argc, char** argv) {
  ksplice::Options options;
  CLI::App app("Makes an update that only compares.", "check_tarball");
  app.add_option("--config", options.config, "of the kernel")->required();
  app.add_option("--source", options.source, "of the kernel")->required();
  app.add_option("--cache", options.cache, "of ksplice-create")->required();
  app.add_option("--list", options.list, "file with further units");
  app.add_option("--id", options.id, "of the update");
  app.add_option("--output", options.output, "folder for the tarball");
  app.add_option("UNIT", options.units, "as kbuild names it");
  CLI11_PARSE(app, argc, argv);
  return ksplice::run_tool("check_tarball", [&] { return ksplice::make(options); });
}
