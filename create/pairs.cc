// The order matters: pre first, on the untouched overlay; then the patched files are swapped in
// and the same objects compiled again. The two differ in nothing but the patch.
//
// Only units that differ are compiled a third time (moved), if they read a file in which lines
// move; of a header that many units include, those are few. Where post is pre, exactly, no line
// number can have become a difference; where no line moves, pre is what moved would be. Then the
// patched files are swapped in again, for what is built from the tree later.

#include "create/pairs.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "create/moved.h"
#include "create/package/manifest.h"
#include "create/pre_cache.h"
#include "create/update_module.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/object/atoms.h"
#include "objdiff/object/elf_read.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

fs::path place_of(const Overlay& overlay, const std::string& stage, const std::string& unit) {
  return overlay.work(stage) / flat_name(unit);
}

// Takes a built object out of kbuild's reach.
fs::path keep(const Overlay& overlay, const std::string& stage, const BuiltUnit& built) {
  const fs::path kept = place_of(overlay, stage, built.name);
  fs::copy_file(built.object, kept, fs::copy_options::overwrite_existing);
  return kept;
}

// No file may have been read around the overlay: then its patched version was not.
void check_dependencies(const PairInput& input, const BuiltUnit& built) {
  std::string source = input.overlay.source().string() + "/";
  for (const std::string& path : built.outside)
    if (path.starts_with(source) || path.starts_with(input.overlay.tree().parent_path().string()))
      throw Error("internal", fmt::format("{} was compiled from {}, around the private tree",
                                          built.name, path));
}

// The names of the units that did not compile, and why.
[[noreturn]] void throw_failed(const std::string& code, const std::string& how,
                               const BuildResult& result, const std::string& hint) {
  std::vector<std::string> bad = result.failed;
  bad.insert(bad.end(), result.no_rule.begin(), result.no_rule.end());
  throw Error(code, fmt::format("{} does not compile {}:\n{}", bad.front(), how, result.output),
              hint);
}

std::map<std::string, BuiltUnit> build_pre(const PairInput& input, Progress& progress) {
  std::map<std::string, BuiltUnit> pre;
  std::vector<std::string> todo;
  PreCache cache(input.cache, input.key, input.files);
  for (const AffectedUnit& unit : input.units) {
    BuiltUnit built;
    if (unit.pre.empty()) continue;
    if (cache.load(unit.pre, place_of(input.overlay, "2-pre", unit.pre), built))
      pre[unit.pre] = built;
    else
      todo.push_back(unit.pre);
  }
  progress.stage(
      fmt::format("compile {} as the source is", counted(todo.size() + pre.size(), "unit")));
  if (!pre.empty()) progress.result(fmt::format("{} from the cache", pre.size()));
  progress.expect(todo.size());
  BuildResult result = build_units(input.kbuild, todo);
  if (result.built.size() != todo.size())
    throw_failed("pre_build_failed", "even without the patch", result,
                 "is SOURCE the complete source of this kernel?");
  for (const BuiltUnit& built : result.built) {
    check_dependencies(input, built);
    cache.store(built);
    pre[built.name] = built;
    pre[built.name].object = keep(input.overlay, "2-pre", built);
  }
  return pre;
}

// Does the unit read any of the files that the patch changes.
bool reads_change(const BuiltUnit& built, const std::set<std::string>& changed) {
  return std::any_of(built.sources.begin(), built.sources.end(),
                     [&](const std::string& path) { return changed.contains(path); });
}

// The changes that a build can see.
std::vector<FileChange> seen_by_kbuild(const std::vector<FileChange>& changes) {
  std::vector<FileChange> seen;
  bool adds = std::any_of(changes.begin(), changes.end(), [](const FileChange& change) {
    return change.kind == ChangeKind::Added || change.kind == ChangeKind::Renamed;
  });
  for (const FileChange& change : changes) {
    FileKind kind = classify_file(change.path).kind;
    if (kind == FileKind::Code || (kind == FileKind::BuildFile && adds)) seen.push_back(change);
  }
  return seen;
}

// Makes the tree the patched one, in which patches also find <ksplice-patch.h>.
void swap_in(Overlay& overlay, const std::vector<FileChange>& changes) {
  overlay.replace("include/ksplice-patch.h", core_source_folder() / "ksplice-patch.h");
  for (const FileChange& change : seen_by_kbuild(changes)) {
    if (change.kind == ChangeKind::Deleted)
      overlay.remove(change.path);
    else
      overlay.replace(change.path, change.content);
  }
}

// kbuild compiles a file that no Makefile lists too; in the kernel it would not be.
void check_new_unit(const Kbuild& kbuild, const std::string& unit) {
  std::string source = fs::path(unit.substr(0, unit.size() - 2) + ".c").lexically_normal().string();
  if (UnitTable(kbuild, kbuild.obj / ".ksplice-patched-units").find(source)) return;
  Refusal refusal;
  refusal.code = "unsupported_file";
  refusal.object = source;
  refusal.message =
      fmt::format("{} is new, and no Makefile builds it in this configuration", source);
  refusal.advice = "the patch must add it to obj-y, or to the objects of a module, in its folder";
  throw Refused({refusal});
}

// Makes the tree the original one again, with the files of moved.
void swap_out(Overlay& overlay, const std::vector<FileChange>& changes,
              const std::vector<MovedFile>& moved) {
  for (const FileChange& change : seen_by_kbuild(changes)) overlay.restore(change.path);
  for (const MovedFile& file : moved) overlay.replace(file.path, file.content);
}

// Compiles the originals of the pairs that differ once more, where lines move in what they read.
void build_moved(const PairInput& input, const std::map<std::string, BuiltUnit>& pre,
                 const std::vector<const AffectedUnit*>& chosen, std::vector<ObjectPair>& pairs,
                 Progress& progress) {
  const std::vector<MovedFile> files = make_moved(input.changes, input.overlay.source(),
                                                  input.overlay.work() / "2-moved/source", "../");
  std::set<std::string> paths;
  for (const MovedFile& file : files) paths.insert(file.path);
  std::vector<std::string> todo;
  std::vector<ObjectPair*> wanted;
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (pairs[i].pre.empty() || !reads_change(pre.at(chosen[i]->pre), paths)) continue;
    ObjectDiff diff = compare_pair(pairs[i]).diff;
    pairs[i].same = diff.is_nothing();
    if (pairs[i].same) pairs[i].notes = std::move(diff.notes);
    if (pairs[i].same) continue;
    todo.push_back(chosen[i]->pre);
    wanted.push_back(&pairs[i]);
  }
  if (todo.empty()) return;
  progress.stage(fmt::format("compile {} as the source is, with the patch's line numbers",
                             counted(todo.size(), "unit")));
  progress.expect(todo.size());
  swap_out(input.overlay, input.changes, files);
  const BuildResult result = build_units(input.kbuild, todo);
  if (result.built.size() != todo.size())
    throw_failed("moved_failed", "without the patch and with its line numbers", result,
                 "it does without these, so the numbers mean something to it: #line directives in "
                 "--keep-work's 2-moved/source show where");
  for (size_t i = 0; i < wanted.size(); ++i) {
    check_dependencies(input, result.built[i]);
    wanted[i]->moved = keep(input.overlay, "2-moved", result.built[i]);
  }
  for (const MovedFile& file : files) input.overlay.restore(file.path);
  swap_in(input.overlay, input.changes);
}

}  // namespace

PairObjects compare_pair(const ObjectPair& pair) {
  PairObjects objects;
  auto read = [&](const fs::path& path) {
    Object object;
    if (!path.empty()) object = read_object(path.string());
    object.path = pair.unit;
    // Functions that share a section (.sched.text) are compared and taken out one by one.
    normalise(object);
    return object;
  };
  objects.pre = read(pair.pre);
  objects.post = read(pair.post);
  Object moved;
  if (!pair.moved.empty()) moved = read(pair.moved);
  objects.diff = diff_objects(objects.pre, objects.post, pair.moved.empty() ? nullptr : &moved,
                              pair.checksums);
  return objects;
}

namespace {

// The units that read the change, in the order of input.
std::vector<const AffectedUnit*> choose(const PairInput& input,
                                        std::map<std::string, BuiltUnit>& pre) {
  std::set<std::string> changed;
  for (const FileChange& change : input.changes)
    if (!change.old_path.empty()) changed.insert(change.old_path);
  std::vector<const AffectedUnit*> chosen;
  for (const AffectedUnit& unit : input.units)
    if (unit.certain || reads_change(pre[unit.pre], changed)) chosen.push_back(&unit);
  return chosen;
}

BuildResult build_post(const PairInput& input, const std::vector<const AffectedUnit*>& chosen,
                       Progress& progress) {
  std::vector<std::string> todo;
  for (const AffectedUnit* unit : chosen) todo.push_back(unit->post);
  progress.stage(fmt::format("compile {} with the patch", counted(todo.size(), "unit")));
  progress.expect(todo.size());
  swap_in(input.overlay, input.changes);
  for (const AffectedUnit* unit : chosen)
    if (unit->pre.empty()) check_new_unit(input.kbuild, unit->post);
  // kbuild makes its headers first; if there is no unit, only these.
  if (todo.empty()) run_make(input.kbuild, {"prepare0"});
  BuildResult result = build_units(input.kbuild, todo);
  progress.detail(result.output);
  if (result.built.size() != todo.size())
    throw_failed("compile_failed", "with the patch", result, "without the patch it does");
  return result;
}

// The headers that the units' own builds made, by path below obj, with digests.
std::map<std::string, std::string> made_headers(const PairInput& input,
                                                const std::map<std::string, BuiltUnit>& pre) {
  std::map<std::string, std::string> made;
  for (const auto& [name, built] : pre)
    for (const std::string& path : built.generated)
      if (is_made_by_unit(path) && !path.ends_with(".c") && fs::exists(input.overlay.obj() / path))
        made.emplace(path, sha256(read_file(input.overlay.obj() / path)));
  return made;
}

// A program made such a header from a file that the patch changes, and who else reads it is not
// known.
void compare_made(const PairInput& input, const std::map<std::string, std::string>& before,
                  std::vector<Refusal>& refusals) {
  for (const auto& [path, digest] : before) {
    const fs::path file = input.overlay.obj() / path;
    if (fs::exists(file) && sha256(read_file(file)) == digest) continue;
    Refusal& refusal = refusals.emplace_back();
    refusal.code = "unsupported_file";
    refusal.object = path;
    refusal.message = fmt::format(
        "the patch changes {}, which a program makes while the kernel is built, and which more of "
        "the kernel may read than the patch touches",
        path);
    refusal.advice = "leave what it is made from out of the patch";
  }
}

// Assembly cannot be redirected: a change of it is a refusal, and the C half of one no update.
void compare_assembly(const BuiltUnit& pre, const BuiltUnit& post,
                      const std::vector<FileChange>& changes, std::vector<Refusal>& refusals) {
  std::string difference = object_difference(pre.object, post.object);
  if (difference.empty()) return;
  std::vector<std::string> read;
  for (const FileChange& change : changes)
    if (std::binary_search(post.sources.begin(), post.sources.end(), change.path))
      read.push_back(change.path);
  refusals.push_back(refuse_outside(
      "assembly", post.name, fmt::format("the patch changes the assembly of {}", post.name), read));
  refusals.back().found = difference;
}

// That pre, post and moved were compiled from the same files, but for the patch.
void check_source(const PairInput& input, const std::vector<const AffectedUnit*>& chosen,
                  const std::map<std::string, BuiltUnit>& pre, const BuildResult& post) {
  std::set<std::string> paths;
  for (const AffectedUnit* unit : chosen)
    if (!unit->pre.empty())
      paths.insert(pre.at(unit->pre).sources.begin(), pre.at(unit->pre).sources.end());
  for (const BuiltUnit& built : post.built)
    paths.insert(built.sources.begin(), built.sources.end());
  for (const std::string& path : paths) input.files.check(path);
}

}  // namespace

std::vector<ObjectPair> build_pairs(const PairInput& input, Progress& progress) {
  std::map<std::string, BuiltUnit> pre = build_pre(input, progress);
  Outside outside(input.overlay, input.kbuild, input.outside, input.changes);
  if (!input.outside.empty())
    progress.stage("compile what else may read the change: " + outside.names());
  outside.build_pre();
  std::vector<const AffectedUnit*> chosen = choose(input, pre);
  const std::map<std::string, std::string> made = made_headers(input, pre);
  BuildResult result = build_post(input, chosen, progress);
  std::vector<Refusal> refusals = outside.build_post();
  compare_made(input, made, refusals);
  std::vector<ObjectPair> pairs;
  std::vector<const AffectedUnit*> units;  // of pairs, in the same order
  for (size_t i = 0; i < chosen.size(); ++i) {
    const BuiltUnit& post = result.built[i];
    check_dependencies(input, post);
    if (chosen[i]->assembly) {
      compare_assembly(pre[chosen[i]->pre], post, input.changes, refusals);
      continue;
    }
    ObjectPair pair;
    pair.unit = fs::path(post.name).lexically_normal().string();
    pair.target = chosen[i]->pre.empty() ? post.target : pre[chosen[i]->pre].target;
    if (!chosen[i]->pre.empty()) pair.pre = pre[chosen[i]->pre].object;
    pair.checksums = {pre[chosen[i]->pre].checksums, post.checksums};
    pair.post = keep(input.overlay, "3-post", post);
    pairs.push_back(std::move(pair));
    units.push_back(chosen[i]);
  }
  if (!refusals.empty()) throw Refused(refusals);
  build_moved(input, pre, units, pairs, progress);
  check_source(input, chosen, pre, result);
  split_by_target(pairs);
  return pairs;
}

void split_by_target(std::vector<ObjectPair>& pairs) {
  std::vector<ObjectPair> split;
  for (const ObjectPair& pair : pairs) {
    for (size_t at = 0; at <= pair.target.size();) {
      const size_t end = std::min(pair.target.find(':', at), pair.target.size());
      split.push_back(pair);
      split.back().target = pair.target.substr(at, end - at);
      at = end + 1;
    }
  }
  pairs = std::move(split);
}

}  // namespace ksplice
