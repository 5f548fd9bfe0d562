// kbuild builds an external module in its own folder, so a copy of that folder is built twice:
// first as it is; then a new copy with the patched files, at the same place. make is not trusted to
// know what to compile again: it does not see that a header is gone, or that a new one stands
// before another, and no rule of a module's own has to name what it reads. Where the patch moves
// lines, there is a pass between the two, over what the first left: the original files with the
// patched ones' line numbers (moved.h), newer than every object; what make does not compile then is
// as it was, and only a difference more. All passes have the same path, flags and configuration.
//
// __FILE__ in such a module is the absolute path it was built at, and ends up in WARN() and the
// like: it is mapped to the folder that the user named, where the module is most likely from.

#include "create/external.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "create/module_copy.h"
#include "create/module_parts.h"
#include "create/moved.h"
#include "create/update_module.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

// What goes wrong when a pass fails.
struct Failure {
  const char *code, *how, *hint;
};
constexpr Failure PreFailed = {
    "pre_build_failed", "",
    "does it compile by itself, with make -C /lib/modules/RELEASE/build M=DIR?"};
constexpr Failure MovedFailed = {"moved_failed", " without the patch and with its line numbers",
                                 "without these it does, so the numbers mean something to it"};
constexpr Failure PostFailed = {"compile_failed", " with the patch", "without the patch it does"};

// What a make left.
struct MadeModules {
  std::map<std::string, BuiltUnit> units;
  std::map<std::string, OtherPart> others;  // parts of modules, of which kbuild tells no more
};

MadeModules make_modules(const Kbuild& kbuild, const ModuleCopy& copy, const Failure& failure,
                         Progress& progress) {
  std::string flags;
  for (const std::string& word : kbuild.words)
    if (word.starts_with("KCFLAGS=")) flags = word;
  flags += fmt::format(" -fmacro-prefix-map={}/={}/", copy.root.string(), copy.original.string());
  // What other modules export is known to their users' builds only; here nothing is loaded.
  MakeResult run =
      run_make(kbuild, {"M=" + copy.folder.string(), flags, "KBUILD_MODPOST_WARN=1", "modules"});
  progress.detail(without_chatter(run.output), 2);
  if (run.status != 0)
    throw Error(failure.code,
                fmt::format("the module in {} does not compile{}:\n{}", copy.source.string(),
                            failure.how, without_chatter(run.output)),
                failure.hint);
  MadeModules built;
  built.units = find_external_units(copy.folder, copy.root);
  const std::map<std::string, std::string> parts = list_module_parts(copy.folder, copy.root);
  // What is compiled and linked into nothing cannot run.
  std::erase_if(built.units, [&](const auto& unit) { return !parts.contains(unit.first); });
  for (const auto& [part, module] : parts_beside(parts, built.units))
    built.others[part] = {module, copy.folder / part};
  return built;
}

fs::path keep(const Overlay& overlay, const std::string& stage, const std::string& name,
              const fs::path& object) {
  fs::path kept = overlay.work(stage) / flat_name(name);
  fs::copy_file(object, kept);
  return kept;
}

// The objects and other parts, out of the next make's reach.
void keep_all(const Overlay& overlay, const std::string& stage, MadeModules& built) {
  for (auto& [name, unit] : built.units) unit.object = keep(overlay, stage, name, unit.object);
  for (auto& [name, part] : built.others) part.kept = keep(overlay, stage, name, part.kept);
}

// Whether the unit was compiled from a file of the module's folder.
bool reads(const BuiltUnit& unit, const fs::path& folder, const std::string& path) {
  const std::string whole = (folder / path).lexically_normal().string();
  auto has = [](const std::vector<std::string>& paths, const std::string& wanted) {
    return std::find(paths.begin(), paths.end(), wanted) != paths.end();
  };
  // By their absolute paths up to 6.12, and as seen from the folder since 6.13.
  return has(unit.outside, whole) || has(unit.generated, path);
}

// About changed .c files that no unit was compiled from. What else there is in the modules is the
// same with the patch.
std::vector<std::string> describe_unbuilt(const MadeModules& post, const fs::path& folder,
                                          const std::vector<FileChange>& changes) {
  std::string others;
  for (const auto& [part, other] : post.others)
    others += fmt::format("{}{}", others.empty() ? "" : ", ", part);
  std::vector<std::string> notes;
  for (const FileChange& change : changes) {
    if (!change.path.ends_with(".c") || change.kind == ChangeKind::Deleted) continue;
    if (std::any_of(post.units.begin(), post.units.end(),
                    [&](const auto& unit) { return reads(unit.second, folder, change.path); }))
      continue;
    notes.push_back(
        others.empty()
            ? change.path + " is part of no module in this configuration"
            : fmt::format("kbuild compiles nothing from {}; {}, which rules of the module's own "
                          "make, {} the same with the patch",
                          change.path, others, post.others.size() == 1 ? "is" : "are"));
  }
  return notes;
}

// Newer than every object.
void put_file(const fs::path& target, const fs::path& content) {
  fs::create_directories(target.parent_path());
  fs::remove(target);
  fs::copy_file(content, target);
  fs::last_write_time(target, fs::file_time_type::clock::now());
}

// The folder as it was copied, with nothing that was built.
void begin_anew(const ModuleCopy& copy, const fs::path& pristine) {
  fs::remove_all(copy.root);
  copy_tree(pristine, copy.root);
}

void put_changes(const fs::path& folder, const std::vector<FileChange>& changes) {
  for (const FileChange& change : changes) {
    if (change.kind == ChangeKind::Deleted || change.kind == ChangeKind::Renamed)
      fs::remove(folder / change.old_path);
    if (change.kind != ChangeKind::Deleted) put_file(folder / change.path, change.content);
  }
}

// The objects of the source as it is with the line numbers of the patched one; none if no line
// moves.
std::map<std::string, fs::path> build_moved(const Overlay& overlay, const Kbuild& kbuild,
                                            const ModuleCopy& copy, const fs::path& original,
                                            const std::vector<FileChange>& changes, bool relative,
                                            Progress& progress) {
  std::map<std::string, fs::path> moved;
  const std::vector<MovedFile> files =
      make_moved(changes, original, overlay.work() / "2-moved/source",
                 relative ? "" : copy.folder.string() + "/");
  if (files.empty()) return moved;
  progress.stage("compile the module as its source is, with the patch's line numbers");
  for (const MovedFile& file : files) put_file(copy.folder / file.path, file.content);
  for (const auto& [name, unit] : make_modules(kbuild, copy, MovedFailed, progress).units)
    moved[name] = keep(overlay, "2-moved", name, unit.object);
  return moved;
}

}  // namespace

std::map<std::string, BuiltUnit> find_external_units(const fs::path& folder, const fs::path& root) {
  std::map<std::string, BuiltUnit> units;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    std::string file = entry.path().filename().string();  // ".foo.o.cmd"
    if (!file.starts_with(".") || !file.ends_with(".o.cmd") || file.ends_with(".mod.o.cmd") ||
        file == "..module-common.o.cmd")
      continue;
    fs::path object = entry.path().parent_path() / file.substr(1, file.size() - 5);
    std::string text = read_text(entry.path()), name = object.lexically_relative(folder).string();
    if (text.find(" -DMODULE ") == std::string::npos || !fs::exists(object)) continue;
    for (const std::string& called : {(folder / name).string(), name}) {
      if (text.find("\nsource_" + called + " := ") == std::string::npos) continue;  // or linked
      BuiltUnit unit = parse_cmd_file(text, called);
      unit.object = object;
      units.emplace(name, std::move(unit));
    }
  }
  return units;
}

void check_module_source(const fs::path& folder) {
  if (!fs::is_directory(folder))
    throw Error("bad_source", fmt::format("{} is not a folder", folder.string()));
  for (const char* name : {"Kbuild", "Makefile"})
    if (fs::exists(folder / name)) return;
  throw Error("bad_source",
              fmt::format("{} is not a module's source: it has neither Kbuild nor Makefile",
                          folder.string()));
}

ExternalPairs build_external_pairs(Overlay& overlay, const Kbuild& kbuild, const fs::path& folder,
                                   const std::vector<FileChange>& changes, Progress& progress) {
  const fs::path original = fs::canonical(folder);
  const ModuleCopy copy = copy_module(original, overlay.work() / "module");
  const fs::path pristine = overlay.work() / "module-source";
  copy_tree(copy.root, pristine);
  overlay.replace("include/ksplice-patch.h", core_source_folder() / "ksplice-patch.h");
  progress.stage("compile the module as its source is");
  MadeModules pre = make_modules(kbuild, copy, PreFailed, progress);
  progress.result(fmt::format("{} units", pre.units.size()));
  keep_all(overlay, "2-pre", pre);

  const std::map<std::string, fs::path> moved = build_moved(
      overlay, kbuild, copy, original, changes,
      !pre.units.empty() && fs::path(pre.units.begin()->second.name).is_relative(), progress);

  progress.stage("compile the module with the patch");
  begin_anew(copy, pristine);
  put_changes(copy.folder, changes);
  MadeModules post = make_modules(kbuild, copy, PostFailed, progress);
  keep_all(overlay, "3-post", post);
  std::vector<Refusal> refusals = compare_other_parts(pre.others, post.others);
  if (!refusals.empty()) throw Refused(refusals);
  const std::set<std::string> patched = paths_before(changes);
  ExternalPairs result;
  result.folder = copy.folder;
  for (const auto& [name, unit] : pre.units)
    if (const auto now = post.units.find(name);
        now == post.units.end() || now->second.target != unit.target)
      result.pairs.push_back(
          {name, unit.target, unit.object, {}, {}, false, {}, {{unit.checksums, {}}, patched}});
  for (const auto& [name, unit] : post.units) {
    ObjectPair pair;
    pair.unit = name;
    pair.target = unit.target;
    pair.post = unit.object;
    if (const auto found = pre.units.find(name);
        found != pre.units.end() && found->second.target == unit.target) {
      const BuiltUnit& before = found->second;
      if (read_file(unit.object) == read_file(before.object)) continue;
      pair.pre = before.object;
      pair.facts = {{before.checksums, unit.checksums}, patched};
      if (const auto third = moved.find(name); third != moved.end()) pair.moved = third->second;
    }
    result.pairs.push_back(std::move(pair));
  }
  std::set<std::string> all;
  for (const MadeModules* made : {&pre, &post})
    for (const auto& [name, unit] : made->units) all.insert(name);
  split_by_target(result.pairs);
  result.notes = describe_unbuilt(post, copy.folder, changes);
  progress.result(fmt::format("{} of {} objects differ", result.pairs.size(), all.size()));
  return result;
}

}  // namespace ksplice
