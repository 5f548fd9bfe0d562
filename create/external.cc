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

std::map<std::string, BuiltUnit> make_modules(const Kbuild& kbuild, const ModuleCopy& copy,
                                              const Failure& failure, Progress& progress) {
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
  return find_external_units(copy.folder, copy.root);
}

fs::path keep(const Overlay& overlay, const std::string& stage, const std::string& name,
              const fs::path& object) {
  fs::path kept = overlay.work(stage) / flat_name(name);
  fs::copy_file(object, kept);
  return kept;
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
  for (const auto& [name, unit] : make_modules(kbuild, copy, MovedFailed, progress))
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
  std::map<std::string, BuiltUnit> pre = make_modules(kbuild, copy, PreFailed, progress);
  progress.result(fmt::format("{} units", pre.size()));
  std::map<std::string, fs::path> kept;
  for (const auto& [name, unit] : pre) kept[name] = keep(overlay, "2-pre", name, unit.object);

  const std::map<std::string, fs::path> moved =
      build_moved(overlay, kbuild, copy, original, changes,
                  !pre.empty() && fs::path(pre.begin()->second.name).is_relative(), progress);

  progress.stage("compile the module with the patch");
  begin_anew(copy, pristine);
  put_changes(copy.folder, changes);
  std::map<std::string, BuiltUnit> post = make_modules(kbuild, copy, PostFailed, progress);
  ExternalPairs result;
  result.folder = copy.folder;
  for (const auto& [name, unit] : post) {
    bool is_new = !pre.contains(name);
    if (!is_new && read_file(unit.object) == read_file(kept[name])) continue;
    ObjectPair pair;
    pair.unit = name;
    pair.target = is_new ? unit.target : pre[name].target;
    if (!is_new) pair.pre = kept[name];
    if (auto third = moved.find(name); !is_new && third != moved.end()) pair.moved = third->second;
    if (!is_new) pair.facts = {{pre[name].checksums, unit.checksums}, paths_before(changes)};
    pair.post = keep(overlay, "3-post", name, unit.object);
    result.pairs.push_back(std::move(pair));
  }
  split_by_target(result.pairs);
  for (const FileChange& change : changes)
    if (change.path.ends_with(".c") && change.kind != ChangeKind::Deleted &&
        !post.contains(change.path.substr(0, change.path.size() - 2) + ".o"))
      result.unbuilt.push_back(change.path);
  progress.result(fmt::format("{} of {} objects differ", result.pairs.size(), post.size()));
  return result;
}

}  // namespace ksplice
