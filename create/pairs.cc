// The order matters: pre first, on the untouched overlay; then the patched files are swapped in
// and the same objects compiled again. The two differ in nothing but the patch.
//
// Where the tree becomes the original one again, kbuild's output folder does, too (obj_state.h).
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

#include "create/gone_units.h"
#include "create/moved.h"
#include "create/obj_state.h"
#include "create/object_cache.h"
#include "create/package/manifest.h"
#include "create/recompile.h"
#include "create/renumber.h"
#include "create/swap.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/parallel.h"
#include "objdiff/object/atoms.h"
#include "objdiff/object/elf_read.h"
#include "objdiff/object/elf_write.h"

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

// A few at a time, so that what is done counts when the work is interrupted. done: takes each.
template <typename Done>
BuildResult build_in_turns(const Kbuild& kbuild, const std::vector<std::string>& units,
                           const Done& done) {
  constexpr size_t AtOnce = 32;  // kbuild takes a second or two to read its makefiles
  BuildResult all;
  for (size_t from = 0; from < units.size(); from += AtOnce) {
    const auto begin = units.begin() + static_cast<std::ptrdiff_t>(from);
    const auto end = begin + static_cast<std::ptrdiff_t>(std::min(AtOnce, units.size() - from));
    BuildResult part = build_units(kbuild, {begin, end});
    for (BuiltUnit& built : part.built) {
      done(built);
      all.built.push_back(std::move(built));
    }
    all.failed.insert(all.failed.end(), part.failed.begin(), part.failed.end());
    all.no_rule.insert(all.no_rule.end(), part.no_rule.begin(), part.no_rule.end());
    all.output += part.output;
    if (!part.failed.empty() || !part.no_rule.empty()) break;
  }
  return all;
}

// Takes from todo what is compiled without kbuild (recompile.h), if that is worth while: with many
// units it is better at it. known: the units as the source is.
std::vector<BuiltUnit> build_known(const PairInput& input,
                                   const std::map<std::string, BuiltUnit>& known,
                                   std::vector<std::string>& todo) {
  constexpr size_t Few = 4;
  std::vector<BuiltUnit> built;
  if (!input.shortcuts || todo.size() > Few) return built;
  std::vector<std::optional<BuiltUnit>> results(todo.size());
  for_each_in_parallel(todo.size(), [&](size_t i) {
    if (auto unit = known.find(todo[i]); unit != known.end())
      results[i] = recompile(input.kbuild, unit->second);
  });
  std::vector<std::string> rest;
  for (size_t i = 0; i < todo.size(); ++i) {
    if (results[i])
      built.push_back(std::move(*results[i]));
    else
      rest.push_back(todo[i]);
  }
  todo = std::move(rest);
  return built;
}

std::map<std::string, BuiltUnit> build_pre(const PairInput& input, Progress& progress) {
  std::map<std::string, BuiltUnit> pre;
  std::vector<std::string> todo;
  ObjectCache cache(input.cache, input.key, input.files);
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
  BuildResult result = build_in_turns(input.kbuild, todo, [&](const BuiltUnit& built) {
    check_dependencies(input, built);
    cache.store(built);
    pre[built.name] = built;
    pre[built.name].object = keep(input.overlay, "2-pre", built);
  });
  if (result.built.size() != todo.size())
    throw_failed("pre_build_failed", "even without the patch", result,
                 "is SOURCE the complete source of this kernel?");
  return pre;
}

// The units whose own source the patch changes.
std::vector<AffectedUnit> own_units(const PairInput& input) {
  std::set<std::string> stems;
  for (const FileChange& change : input.changes)
    for (const std::string& path : {change.old_path, change.path})
      if (path.ends_with(".c")) stems.insert(path.substr(0, path.size() - 1) + "o");
  std::vector<AffectedUnit> own;
  for (const AffectedUnit& unit : input.units)
    if (stems.contains(fs::path(unit.pre).lexically_normal().string()) ||
        stems.contains(fs::path(unit.post).lexically_normal().string()))
      own.push_back(unit);
  return own;
}

// Whether most of the work is for units that only read a header of the patch.
bool has_many_readers(const PairInput& input) {
  constexpr std::ptrdiff_t Many = 24;
  const std::ptrdiff_t known = std::count_if(input.units.begin(), input.units.end(),
                                             [](const AffectedUnit& unit) { return !unit.made; });
  return known > std::ssize(own_units(input)) + Many;
}

// Does the unit read any of the files that the patch changes.
bool reads_change(const BuiltUnit& built, const std::set<std::string>& changed) {
  return std::any_of(built.sources.begin(), built.sources.end(),
                     [&](const std::string& path) { return changed.contains(path); });
}

// kbuild compiles a file that no Makefile lists too; in the kernel it would not be.
void check_new_unit(const Kbuild& kbuild, const std::string& unit) {
  std::string source = fs::path(unit.substr(0, unit.size() - 2) + ".c").lexically_normal().string();
  if (patched_units(kbuild).find(source)) return;
  Refusal refusal;
  refusal.code = "unsupported_file";
  refusal.object = source;
  refusal.message =
      fmt::format("{} is new, and no Makefile builds it in this configuration", source);
  refusal.advice = "the patch must add it to obj-y, or to the objects of a module, in its folder";
  throw Refused({refusal});
}

// Whether what the pair differs in is known without its original compiled once more: as it is, or
// with the numbers of lines exchanged in its tables, which then is its moved object.
bool is_known(const PairInput& input, const std::vector<MovedFile>& files, ObjectPair& pair) {
  if (!input.shortcuts) return false;
  Object object = read_object(pair.pre.string());
  if (renumber_tables(object, files, input.series) != 0) {
    pair.moved = place_of(input.overlay, "2-moved", pair.unit);
    write_file(pair.moved, write_object(object));
  }
  PairObjects objects = compare_pair(pair);
  pair.same = objects.diff.is_nothing();
  if (pair.same) pair.notes = std::move(objects.diff.notes);
  if (pair.same || is_certain(objects.diff)) return true;
  pair.moved.clear();
  return false;
}

// Compiles the originals of the pairs that differ once more, where lines move in what they read.
void build_moved(const PairInput& input, const ObjState& start,
                 const std::map<std::string, BuiltUnit>& pre,
                 const std::vector<const AffectedUnit*>& chosen, std::vector<ObjectPair>& pairs,
                 Progress& progress) {
  const std::vector<MovedFile> files = make_moved(input.changes, input.overlay.source(),
                                                  input.overlay.work() / "2-moved/source", "../");
  std::set<std::string> paths;
  for (const MovedFile& file : files) paths.insert(file.path);
  std::vector<std::string> todo;
  std::map<std::string, ObjectPair*> wanted;
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (pairs[i].pre.empty() || pairs[i].post.empty() ||
        !reads_change(pre.at(chosen[i]->pre), paths))
      continue;
    ObjectDiff diff = compare_pair(pairs[i]).diff;
    pairs[i].same = diff.is_nothing();
    if (pairs[i].same) pairs[i].notes = std::move(diff.notes);
    if (pairs[i].same || is_known(input, files, pairs[i])) continue;
    todo.push_back(chosen[i]->pre);
    wanted[chosen[i]->pre] = &pairs[i];
  }
  if (todo.empty()) return;
  progress.stage(fmt::format("compile {} as the source is, with the patch's line numbers",
                             counted(todo.size(), "unit")));
  progress.expect(todo.size());
  swap_out(input.overlay, input.changes);
  start.restore();
  for (const MovedFile& file : files) input.overlay.replace(file.path, file.content);
  std::vector<BuiltUnit> built = build_known(input, pre, todo);
  BuildResult result = build_units(input.kbuild, todo);
  if (result.built.size() != todo.size())
    throw_failed("moved_failed", "without the patch and with its line numbers", result,
                 "it does without these, so the numbers mean something to it: #line directives in "
                 "--keep-work's 2-moved/source show where");
  std::ranges::move(result.built, std::back_inserter(built));
  for (const BuiltUnit& unit : built) {
    check_dependencies(input, unit);
    wanted.at(unit.name)->moved = keep(input.overlay, "2-moved", unit);
  }
  for (const MovedFile& file : files) input.overlay.restore(file.path);
  swap_in(input.overlay, input.changes);
}

}  // namespace

PairObjects compare_pair(const ObjectPair& pair, ModuleExit module_exit) {
  PairObjects objects;
  auto read = [&](const fs::path& path) {
    Object object;
    if (!path.empty()) object = read_object(path.string());
    object.path = pair.unit;
    if (module_exit == ModuleExit::Live)
      for (const auto& section : object.sections)
        if (section->name == ".exit.text") section->name = ".text.exit.text";
    // Functions that share a section (.sched.text) are compared and taken out one by one.
    normalise(object);
    return object;
  };
  objects.pre = read(pair.pre);
  objects.post = read(pair.post);
  Object moved;
  if (!pair.moved.empty()) moved = read(pair.moved);
  objects.diff =
      diff_objects(objects.pre, objects.post, pair.moved.empty() ? nullptr : &moved, pair.facts);
  return objects;
}

namespace {

// The units that read the change, in the order of input.
std::vector<const AffectedUnit*> choose(const PairInput& input,
                                        std::map<std::string, BuiltUnit>& pre) {
  const std::set<std::string> changed = paths_before(input.changes);
  std::vector<const AffectedUnit*> chosen;
  for (const AffectedUnit& unit : input.units)
    if (unit.certain || reads_change(pre[unit.pre], changed)) chosen.push_back(&unit);
  return chosen;
}

// What post objects depend on beside the files that the patch leaves alone.
std::string post_key(const PairInput& input) {
  std::string text = input.key + (input.shortcuts ? "\npost" : "\npost, all by kbuild");
  for (const FileChange& change : input.changes)
    text +=
        fmt::format("\n{} {} {} {}", static_cast<int>(change.kind), change.old_path, change.path,
                    change.content.empty() ? "" : sha256(read_file(change.content)));
  return hash_text(text);
}

// The objects of chosen, each in its place of "3-post".
std::map<std::string, BuiltUnit> build_post(const PairInput& input,
                                            const std::vector<const AffectedUnit*>& chosen,
                                            const std::map<std::string, BuiltUnit>& pre,
                                            Progress& progress) {
  std::map<std::string, BuiltUnit> post;
  std::vector<std::string> todo;
  const bool is_kept = has_many_readers(input);
  ObjectCache cache(input.cache, is_kept ? post_key(input) : "", input.files);
  for (const AffectedUnit* unit : chosen) {
    if (unit->post.empty()) continue;
    BuiltUnit built;
    if (is_kept && !unit->pre.empty() &&
        cache.load(unit->post, place_of(input.overlay, "3-post", unit->post), built))
      post[unit->post] = built;
    else
      todo.push_back(unit->post);
  }
  progress.stage(
      fmt::format("compile {} with the patch", counted(todo.size() + post.size(), "unit")));
  if (!post.empty()) progress.result(fmt::format("{} from the cache", post.size()));
  progress.expect(todo.size());
  swap_in(input.overlay, input.changes);
  for (const AffectedUnit* unit : chosen)
    if (unit->post != unit->pre && !unit->post.empty()) check_new_unit(input.kbuild, unit->post);
  // kbuild makes its headers first; if there is no unit, only these.
  if (todo.empty()) run_make(input.kbuild, {"prepare0"});
  const auto take = [&](const BuiltUnit& built) {
    check_dependencies(input, built);
    if (is_kept) cache.store(built);
    post[built.name] = built;
    post[built.name].object = keep(input.overlay, "3-post", built);
  };
  if (input.keeps_commands)
    for (const BuiltUnit& built : build_known(input, pre, todo)) take(built);
  BuildResult result = build_in_turns(input.kbuild, todo, take);
  progress.detail(result.output);
  if (result.built.size() != todo.size())
    throw_failed("compile_failed", "with the patch", result, "without the patch it does");
  return post;
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

// Whether a program made the unit's assembly: its source tells it only when it is there.
bool is_made_assembly(const BuiltUnit& built) {
  return std::any_of(built.generated.begin(), built.generated.end(),
                     [](const std::string& path) { return path.ends_with(".S"); });
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
                  const std::map<std::string, BuiltUnit>& pre,
                  const std::map<std::string, BuiltUnit>& post) {
  std::set<std::string> paths;
  for (const AffectedUnit* unit : chosen)
    if (!unit->pre.empty())
      paths.insert(pre.at(unit->pre).sources.begin(), pre.at(unit->pre).sources.end());
  for (const auto& [name, built] : post) paths.insert(built.sources.begin(), built.sources.end());
  for (const std::string& path : paths) input.files.check(path);
}

// What a unit was that is gone.
ObjectPair gone_pair(const AffectedUnit& unit, const BuiltUnit& pre) {
  ObjectPair pair;
  pair.unit = fs::path(pre.name).lexically_normal().string();
  pair.target = unit.by_rule ? unit.target : pre.target;
  pair.pre = pre.object;
  pair.facts.checksums.pre = pre.checksums;
  return pair;
}

// start: kbuild's output folder before it built a unit.
std::vector<ObjectPair> build_all(const PairInput& input, const ObjState& start,
                                  Progress& progress) {
  std::map<std::string, BuiltUnit> pre = build_pre(input, progress);
  Outside outside(input.overlay, input.kbuild, input.outside, input.changes);
  if (!input.outside.empty())
    progress.stage("compile what else may read the change: " + outside.names());
  outside.build_pre();
  std::vector<const AffectedUnit*> chosen = choose(input, pre);
  const std::map<std::string, std::string> made = made_headers(input, pre);
  const std::map<std::string, BuiltUnit> built = build_post(input, chosen, pre, progress);
  std::vector<Refusal> refusals = outside.build_post();
  std::vector<std::string> notes;
  if (input.leaves_out_boot_code) notes = leave_out_boot_code(refusals);
  compare_made(input, made, refusals);
  std::vector<ObjectPair> pairs;
  std::vector<const AffectedUnit*> units;  // of pairs, in the same order
  auto add = [&](ObjectPair pair, const AffectedUnit* unit) {
    pair.facts.patched_files = paths_before(input.changes);
    pairs.push_back(std::move(pair));
    units.push_back(unit);
  };
  for (const AffectedUnit* unit : chosen) {
    if (unit->post.empty()) {
      add(gone_pair(*unit, pre.at(unit->pre)), unit);
      continue;
    }
    const BuiltUnit& post = built.at(unit->post);
    if (unit->assembly || is_made_assembly(post)) {
      compare_assembly(pre[unit->pre], post, input.changes, refusals);
      continue;
    }
    ObjectPair pair;
    pair.unit = fs::path(post.name).lexically_normal().string();
    pair.target = unit->pre.empty() ? post.target : pre[unit->pre].target;
    // With its new name it is a part of something else.
    const bool leaves = !unit->pre.empty() && unit->pre != unit->post && post.target != pair.target;
    if (leaves) add(gone_pair(*unit, pre.at(unit->pre)), unit), pair.target = post.target;
    if (unit->by_rule) pair.target = unit->target;
    if (!unit->pre.empty() && !leaves) pair.pre = pre[unit->pre].object;
    pair.facts.checksums = {pre[unit->pre].checksums, post.checksums};
    pair.post = post.object;
    add(std::move(pair), unit);
  }
  if (!refusals.empty()) throw Refused(refusals);
  build_moved(input, start, pre, units, pairs, progress);
  if (!pairs.empty())
    pairs.front().notes.insert(pairs.front().notes.end(), notes.begin(), notes.end());
  check_source(input, chosen, pre, built);
  split_by_target(pairs);
  return pairs;
}

}  // namespace

std::vector<ObjectPair> build_pairs(const PairInput& input, Progress& progress) {
  const ObjState start(input.overlay.obj(), input.overlay.template_folder());
  if (input.judge && has_many_readers(input)) {
    const std::vector<AffectedUnit> own = own_units(input);
    if (!own.empty()) {
      progress.note(fmt::format("the patch's own files first, then {} that only read its headers",
                                counted(input.units.size() - own.size(), "unit")));
      const PairInput first{input.overlay,
                            input.kbuild,
                            own,
                            input.outside,
                            input.changes,
                            input.files,
                            input.cache,
                            input.key,
                            {},
                            input.series,
                            input.shortcuts,
                            input.keeps_commands,
                            input.leaves_out_boot_code};
      input.judge(build_all(first, start, progress));
      swap_out(input.overlay, input.changes);
      start.restore();
    }
  }
  return build_all(input, start, progress);
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
