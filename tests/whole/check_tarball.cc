// Makes an update that replaces nothing and proves much: `ksplice-apply --check` of it compares
// every matched function of the given units with the running kernel.
//
//   check_tarball --config DIR --source SRC --cache DIR [--built DIR] [--target NAME]... UNIT...
//
// A UNIT is named as kbuild does, "net/ipv4/tcp_input.o". It is compiled as ksplice-create compiles
// it, or taken from the folder --built, as tests/whole/whole-kernel leaves it. Units of other
// targets than the named ones (vmlinux, without any) are left out. Prints how many functions of how
// many units the update names, and writes their names, with the units, to OUTPUT/functions.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <deque>
#include <set>

#include "create/config_dir.h"
#include "create/fleet.h"
#include "create/kbuild.h"
#include "create/overlay.h"
#include "objdiff/base/file.h"
#include "objdiff/base/tool.h"
#include "objdiff/object/atoms.h"
#include "objdiff/object/elf_read.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

struct Options {
  fs::path config, source, output = ".", cache, built;
  std::string id = "check";
  std::vector<std::string> units;
  std::set<std::string> targets;
};

// The units of each target, with all that make_check_object needs; addresses must stay.
struct CheckTarget {
  std::deque<Object> objects;
  std::deque<MatchResult> matches;
  std::vector<Unit> units;
};

std::vector<BuiltUnit> find_units(const Options& options, const Kbuild& kbuild) {
  if (options.built.empty()) {
    BuildResult result = build_units(kbuild, options.units);
    if (result.built.size() != options.units.size())
      throw Error("compile_failed", "not all units were compiled:\n" + result.output);
    return result.built;
  }
  std::vector<BuiltUnit> units;
  for (const std::string& name : options.units) {
    fs::path object = options.built / name;
    fs::path cmd = object.parent_path() / ("." + object.filename().string() + ".cmd");
    units.push_back(parse_cmd_file(read_text(cmd), name));
    units.back().object = object;
  }
  return units;
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
  size_t nr_units = 0;
  for (const BuiltUnit& built : find_units(options, kbuild)) {
    if (!options.targets.contains(built.target)) continue;
    add_unit(targets[built.target], built, images.get(built.target));
    nr_units++;
  }
  std::string functions;
  std::vector<TargetUpdate> updates = make_updates(targets, images, options.id, functions);
  write_file(options.output / "functions", functions);

  BuiltModules modules =
      build_modules(kbuild, updates, overlay.work() / "5-modules", options.cache / "core",
                    build_key(overlay, kernel, toolchain));
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
             std::count(functions.begin(), functions.end(), '\n'), nr_units, targets.size());
  return ExitDone;
}

}  // namespace
}  // namespace ksplice

int main(int argc, char** argv) {
  ksplice::Options options;
  std::vector<std::string> targets = {"vmlinux"};
  CLI::App app("Makes an update that only compares.", "check_tarball");
  app.add_option("--config", options.config, "of the kernel")->required();
  app.add_option("--source", options.source, "of the kernel")->required();
  app.add_option("--cache", options.cache, "of ksplice-create")->required();
  app.add_option("--built", options.built, "folder with the compiled units");
  app.add_option("--target", targets, "whose units to take");
  app.add_option("--id", options.id, "of the update");
  app.add_option("--output", options.output, "folder for the tarball");
  app.add_option("UNIT", options.units, "as kbuild names it")->required();
  CLI11_PARSE(app, argc, argv);
  options.targets = {targets.begin(), targets.end()};
  return ksplice::run_tool("check_tarball", [&] { return ksplice::make(options); });
}
