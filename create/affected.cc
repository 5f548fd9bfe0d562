#include "create/affected.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "create/build_files.h"
#include "create/includes.h"
#include "create/kconfig.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

bool has_prefix(const std::string& text, std::initializer_list<const char*> prefixes) {
  for (const char* prefix : prefixes)
    if (text.starts_with(prefix)) return true;
  return false;
}

bool has_suffix(const std::string& text, std::initializer_list<const char*> suffixes) {
  for (const char* suffix : suffixes)
    if (text.ends_with(suffix)) return true;
  return false;
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string target_of(const ConfiguredUnit& unit) {
  return unit.module.empty() ? "vmlinux" : unit.module;
}

std::string object_of(const std::string& source) {
  return source.substr(0, source.size() - 2) + ".o";
}

Refusal unreachable(const std::string& path, const std::string& why) {
  Refusal refusal;
  refusal.code = "unsupported_file";
  refusal.object = path;
  refusal.message = fmt::format("{} {}", path, why);
  refusal.advice = "leave this file out of the patch if the fix does not need it";
  return refusal;
}

// The build file of a folder, or "".
std::string makefile_of(const fs::path& tree, const fs::path& folder) {
  std::string text;
  for (const char* name : {"Kbuild", "Makefile"})
    if (fs::exists(tree / folder / name)) text += read_text(tree / folder / name);
  return text;
}

// Whether a build file speaks of a file, by the last part of its path.
bool names_file(const std::string& makefile, const std::string& path) {
  std::string name = base_name(path);
  for (size_t at = makefile.find(name); at != makefile.npos; at = makefile.find(name, at + 1)) {
    auto ends = [&](size_t place) {
      return place >= makefile.size() || std::strchr(" \t\n/,)(:=", makefile[place]) != nullptr;
    };
    if ((at == 0 || ends(at - 1)) && ends(at + name.size())) return true;
  }
  return false;
}

// Whether a build file may make something of a file without its name: by a rule for all of its kind
// ($(obj)/%.S: $(src)/%.pl), or for the object of its stem.
bool may_make_of(const std::string& makefile, const std::string& path) {
  const std::string stem = fs::path(path).stem().string(), kind = fs::path(path).extension();
  for (size_t at = makefile.find(kind); at != makefile.npos; at = makefile.find(kind, at + 1))
    if (at > 0 && std::strchr("%)*", makefile[at - 1]) != nullptr) return true;
  for (const char* made : {".o", ".S", ".s", ".c", ".h"})
    if (names_file(makefile, stem + made)) return true;
  return false;
}

// Texts and scripts are not code, but code may be made from them: x86-opcode-map.txt,
// mkcapflags.sh.
bool is_input(const fs::path& source, const std::string& path) {
  if (has_prefix(path, {"Documentation/", "LICENSES/", "tools/", "samples/", "usr/"}) ||
      (has_prefix(path, {"arch/"}) && !has_prefix(path, {"arch/x86/"})) ||
      path.find('/') == path.npos || is_kconfig(path))
    return false;
  if (has_prefix(path, {"scripts/asn1_compiler.", "scripts/selinux/"})) return true;
  if (path.starts_with("scripts/"))
    return has_suffix(path, {".sh", ".tbl", ".pl", ".py", ".awk"}) &&
           (names_file(makefile_of(source, "."), path) ||
            names_file(makefile_of(source, "arch/x86/entry/syscalls"), path));
  bool is_first = true;  // of the folders above that have a build file
  for (fs::path folder = fs::path(path).parent_path(); !folder.empty();
       folder = folder.parent_path()) {
    const std::string makefile = makefile_of(source, folder);
    if (names_file(makefile, path)) return true;
    if (is_first && has_suffix(path, {".pl", ".py", ".sh", ".awk"}) && may_make_of(makefile, path))
      return true;
    is_first = is_first && makefile.empty();
  }
  return false;
}

struct Place {
  const char* prefix;
  const char* why;
};

constexpr Place Unreachable[] = {
    {"arch/x86/entry/vdso/", "is code of the vdso, which processes have mapped"},
    {"arch/x86/boot/", "is code that runs only while the kernel starts"},
    {"arch/x86/realmode/", "is code that runs only outside of the kernel proper"},
    {"arch/x86/purgatory/", "is code that runs only between two kernels"},
    {"drivers/firmware/efi/libstub/", "is code that runs only while the kernel starts"},
};

// The kernel's own code in these folders: it maps the vdso, and starts what starts processors.
constexpr std::string_view Reachable[] = {
    "arch/x86/entry/vdso/vma.c", "arch/x86/entry/vdso/extable.c",
    "arch/x86/entry/vdso/vdso32-setup.c", "arch/x86/realmode/init.c"};

// A stable patch counts the version up.
std::string without_version(const std::string& makefile) {
  std::istringstream lines(makefile);
  std::string text;
  for (std::string line; std::getline(lines, line);)
    if (!has_prefix(line, {"VERSION =", "PATCHLEVEL =", "SUBLEVEL =", "EXTRAVERSION =", "NAME ="}))
      text += line + "\n";
  return text;
}

constexpr const char* NotKernel = "not part of the running kernel's code";

}  // namespace

FileClass classify_file(const std::string& path) {
  std::string name = base_name(path);
  if (has_prefix(path, {"Documentation/", "LICENSES/"}) ||
      has_suffix(name, {".rst", ".txt", ".md", ".yaml"}) || path.find('/') == std::string::npos)
    return name == "Makefile" || name == "Kbuild" ? FileClass{FileKind::BuildFile, ""}
                                                  : FileClass{FileKind::Ignored, "documentation"};
  if (has_prefix(path, {"scripts/Makefile", "scripts/Kbuild"})) return {FileKind::BuildFile, ""};
  if (is_user_code(path))
    return {has_suffix(name, {".c", ".h"}) ? FileKind::Shared : FileKind::Ignored, NotKernel};
  if (has_prefix(path, {"arch/"}) && !has_prefix(path, {"arch/x86/"}) &&
      path.find('/', 5) != std::string::npos)
    return {FileKind::Ignored, "another architecture"};
  if (has_prefix(path, {"arch/x86/um/"})) return {FileKind::Ignored, "another architecture"};
  if (is_kconfig(path)) return {FileKind::Ignored, "the configuration stays as it is"};
  if (name.starts_with("Makefile") || name.starts_with("Kbuild")) return {FileKind::BuildFile, ""};
  const bool is_kernels =
      std::find(std::begin(Reachable), std::end(Reachable), path) != std::end(Reachable);
  for (const Place& place : Unreachable)
    if (!is_kernels && path.starts_with(place.prefix)) return {FileKind::Refused, place.why};
  if (has_suffix(name, {".S"})) return {FileKind::Refused, "is assembly"};
  if (has_suffix(name, {".lds", ".lds.h", ".lds.S"}))
    return {FileKind::Refused, "decides the layout of the whole kernel"};
  if (has_suffix(name, {".c", ".h", ".inc", ".inl", ".cinc"})) return {FileKind::Code, ""};
  if (name == ".gitignore" || name == ".mailmap" || has_suffix(name, {"defconfig", ".config"}) ||
      has_suffix(name, {".sh", ".pl", ".py", ".rs", ".dts", ".dtsi"}))
    return {FileKind::Ignored, "not part of the kernel's C code"};
  return {FileKind::Refused, "is of a kind that cannot be updated"};
}

std::vector<std::string> check_files(const std::vector<FileChange>& changes,
                                     const fs::path& source) {
  std::vector<std::string> notes;
  std::vector<Refusal> refusals;
  bool code = false;
  for (const FileChange& change : changes) {
    FileClass file = classify_file(change.path);
    const bool counts = file.kind == FileKind::Ignored || file.kind == FileKind::Shared;
    if (counts && is_input(source, change.path))
      file = {FileKind::Refused, "is what code of the kernel is made from, by a program"};
    code = code || (file.kind != FileKind::Ignored && file.kind != FileKind::Refused);
    if (file.kind == FileKind::Ignored)
      notes.push_back(fmt::format("{} is ignored: {}", change.path, file.why));
    if (file.kind != FileKind::Refused) continue;
    refusals.push_back(unreachable(change.path, file.why));
  }
  if (!refusals.empty()) throw Refused(refusals);
  if (code) return notes;
  std::string list;
  for (const std::string& note : notes) list += "\n  " + note;
  throw Error(
      "no_change",
      "no changes detected: the patch changes no source that the kernel is built from" + list);
}

namespace {

class Finder {
 public:
  Finder(UnitTable& table, const fs::path& tree, const std::vector<std::string>& files,
         const fs::path& cache)
      : table_(table), tree_(tree), files_(files), cache_(cache) {}
  Finder(UnitTable& table, const fs::path& tree, const std::vector<std::string>& files,
         const Includes& includes)
      : table_(table), tree_(tree), files_(files), known_(&includes) {}

  Affected run(const std::vector<FileChange>& changes) {
    for (const FileChange& change : changes) take(change);
    for (const FileChange* change : build_files_) take_build_file(*change);
    for (const auto& [path, is_unit] : included_) add_readers(path, false, is_unit);
    // What finds a new file can be told only once it is there.
    for (const std::string& path : shadows_) add_readers(path, true, path.ends_with(".c"));
    while (!made_.empty()) add_readers(made_.extract(made_.begin()).value(), true, false);
    find_made();
    affected_.outside = find_outside(tree_, changed_, readers_);
    return std::move(affected_);
  }

 private:
  void take(const FileChange& change) {
    const FileClass file = classify_file(change.path);
    if (change.kind == ChangeKind::Added || change.kind == ChangeKind::Renamed)
      new_.insert(change.path);
    if (change.kind == ChangeKind::Deleted || change.kind == ChangeKind::Renamed)
      gone_.insert(change.old_path);
    if (file.kind == FileKind::BuildFile) {
      build_files_.push_back(&change);
      return;
    }
    if (file.kind == FileKind::Shared && !is_read(change.path) && !is_read(change.old_path)) {
      affected_.notes.push_back(fmt::format("{} is ignored: {}", change.path, file.why));
      return;
    }
    affected_.changes.push_back(change);
    if (change.path.ends_with(".rs") && has_rust())
      affected_.refusals.push_back(
          unreachable(change.path, "is Rust code, of which this kernel has some"));
    if (file.kind != FileKind::Code && file.kind != FileKind::Shared) return;
    bool is_c = change.path.ends_with(".c");
    bool is_new = change.kind == ChangeKind::Added || change.kind == ChangeKind::Renamed;
    if (is_new) shadows_.insert(change.path);
    if (change.kind == ChangeKind::Added) {
      if (is_c) add({"", object_of(change.path), true, "", false});
      return;
    }
    changed_.push_back(change.old_path);
    std::optional<ConfiguredUnit> unit;
    if (change.old_path.ends_with(".c") && !is_user_code(change.old_path))
      unit = table_.find(change.old_path);
    // A unit's source may be a part of other ones, too: fs/binfmt_elf.c of compat_binfmt_elf.c.
    included_[change.old_path] = add_by_rule(change.old_path, true) || unit;
    if (!unit) return;
    if (change.kind != ChangeKind::Modified) affected_.may_take_units = true;
    if (change.kind == ChangeKind::Deleted) return;  // gone_units.h
    if (change.kind == ChangeKind::Renamed)
      add({unit->goal, object_of(change.path), true, target_of(*unit), false});
    else
      add({unit->goal, unit->goal, true, target_of(*unit), false});
  }

  // What a makefile of the patch does to units that are there: new flags, for example.
  void take_build_file(const FileChange& change) {
    std::string before, after;
    if (change.kind != ChangeKind::Added) before = read_text(tree_ / change.old_path);
    if (change.kind != ChangeKind::Deleted) after = read_text(change.content);
    if (change.path == "Makefile") before = without_version(before), after = without_version(after);
    const BuildFileDiff diff = compare_build_files(before, after);
    if (!diff.other && diff.added.empty() && diff.removed.empty()) {
      affected_.notes.push_back(
          fmt::format("{} is ignored: no unit is compiled in another way", change.path));
      return;
    }
    affected_.changes.push_back(change);
    if (diff.other || !diff.removed.empty()) affected_.may_take_units = true;
    const std::string folder = fs::path(change.path).parent_path().string();
    for (const std::string& object : diff.added) take_listed(change.path, folder, object);
    if (diff.other) add_governed(change.path, folder, is_deep(before) || is_deep(after));
  }

  // An object, or a folder, that comes into a list.
  void take_listed(const std::string& makefile, const std::string& folder,
                   const std::string& object) {
    std::string path = (fs::path(folder) / object).lexically_normal().string();
    if (path.ends_with(".o")) path.resize(path.size() - 1);
    const bool is_known = std::any_of(files_.begin(), files_.end(), [&](const std::string& file) {
      return path.ends_with("/") ? file.starts_with(path)
                                 : file == path + "c" || file == path + "S";
    });
    if (is_known)
      affected_.refusals.push_back(unreachable(
          makefile, fmt::format("builds {} in another way, and its source is not new", object)));
  }

  // The units that a makefile may have flags for.
  void add_governed(const std::string& makefile, const std::string& folder, bool is_deep) {
    constexpr size_t Most = 300;
    const std::string name = base_name(makefile);
    const bool is_wide = folder.empty() || folder == "arch/x86" || folder == "scripts" ||
                         (name != "Makefile" && name != "Kbuild") || is_outside(makefile);
    std::vector<std::string> sources;
    if (!is_wide) sources = governed_sources(tree_, folder, is_deep, table_.all());
    if (is_wide || sources.size() > Most)
      affected_.refusals.push_back(unreachable(
          makefile, "changes by more than lists of objects how much of the kernel is built"));
    else
      for (const std::string& source : sources) add_governed_unit(source);
  }

  void add_governed_unit(const std::string& source) {
    const ConfiguredUnit& unit = table_.all().at(source);
    const std::string assembly = source.substr(0, source.size() - 1) + "S";
    const bool is_assembly = !has_file(source) && has_file(assembly);
    if (!gone_.contains(is_assembly ? assembly : source))
      add({unit.goal, unit.goal, true, target_of(unit), is_assembly});
  }

  // Whether the kernel's build may read a file, as far as its place tells.
  bool is_read(const std::string& path) {
    return !path.empty() && (!is_user_code(path) || includes().shared().contains(path));
  }

  const Includes& includes() {
    if (known_ != nullptr) return *known_;
    if (includes_) return *includes_;
    std::vector<std::string> files;
    const std::vector<std::string> generated = generated_headers(tree_);
    std::merge(files_.begin(), files_.end(), generated.begin(), generated.end(),
               std::back_inserter(files));
    return includes_.emplace(tree_, std::move(files), cache_);
  }

  void add(AffectedUnit unit) {
    const std::string& name = unit.post.empty() ? unit.pre : unit.post;
    const auto [known, is_first] = taken_.emplace(name, affected_.units.size());
    if (is_first)
      affected_.units.push_back(std::move(unit));
    else if (unit.certain)
      affected_.units[known->second].certain = true;
  }

  // Units that may include path; certain: they are compiled even if they did not before the change.
  // is_unit: path is the source of a unit itself.
  void add_readers(const std::string& path, bool certain, bool is_unit) {
    bool used = note_made(path) || certain || is_unit;
    for (const std::string& source : includes().readers(path)) {
      readers_.insert(source);
      used = note_made(source) || used;
      used = add_by_rule(source, certain) || used;
      bool assembly = source.ends_with(".S");
      std::string stem = source.substr(0, source.size() - 2);
      auto unit = table_.all().find(stem + ".c");
      if (unit == table_.all().end() || (assembly && has_file(stem + ".c"))) continue;
      used = true;
      add({unit->second.goal, unit->second.goal, certain, target_of(unit->second), assembly});
    }
    if (!is_unit) add_made_units(certain && has_namesake(path));
    if (used || !find_outside(tree_, {path}, readers_).empty()) return;
    if (is_host_program(path))
      affected_.refusals.push_back(
          unreachable(path, "is of a program that makes code of the kernel"));
    else if (path.ends_with(".c"))
      affected_.notes.push_back(fmt::format("{} is not part of this configuration", path));
    else
      affected_.notes.push_back(
          fmt::format("no source that this configuration builds reads {}", path));
  }

  // The build may make a header of a source, by way of its assembly: asm-offsets.h for all, or one
  // such as kvm-asm-offsets.h for few.
  bool note_made(const std::string& source) {
    if (!source.ends_with(".c")) return false;
    bool for_all = source == "kernel/bounds.c" || source == "arch/x86/kernel/asm-offsets.c" ||
                   source == "arch/x86/kernel/asm-offsets_64.c" ||
                   source == "kernel/sched/rq-offsets.c";
    affected_.makes_headers = affected_.makes_headers || for_all;
    std::string stem = source.substr(0, source.size() - 2);
    bool for_few = !for_all && has_file(source) && !table_.all().contains(source) &&
                   names_file(makefile_of(tree_, fs::path(source).parent_path()), stem + ".s");
    if (for_few) made_.insert(stem + ".h");
    return for_all || for_few;
  }

  // Units that are made of a source elsewhere: those of xe of i915's.
  bool add_by_rule(const std::string& source, bool certain) {
    bool any = false;
    if (!source.ends_with(".c")) return any;
    for (const std::string& object : includes().objects_of(source)) {
      const std::string place = object.substr(0, object.size() - 2) + ".c";
      if (has_file(place) || is_outside(place)) continue;
      const std::optional<ConfiguredUnit> unit = table_.find(place);
      if (unit) add({unit->goal, unit->goal, certain, target_of(*unit), false, false, true});
      any = any || unit;
    }
    return any;
  }

  // Units whose source is made while the kernel is built. Nothing is known of what they read until
  // they are compiled.
  void add_made_units(bool certain) {
    for (const auto& [source, unit] : table_.all())
      if (!has_source(source)) add({unit.goal, unit.goal, certain, target_of(unit), false, true});
  }

  bool has_source(const std::string& source) {
    const std::string stem = source.substr(0, source.size() - 2);
    return has_file(source) || has_file(stem + ".S") || !includes().source_of(stem + ".o").empty();
  }

  // Whether another file has the same name, and may have been read in the place of path.
  bool has_namesake(const std::string& path) const {
    const std::string name = "/" + base_name(path);
    return std::any_of(files_.begin(), files_.end(), [&](const std::string& file) {
      return file != path && file.ends_with(name);
    });
  }

  // Units whose source a program makes from a file that the patch changes: capflags.c.
  void find_made() {
    for (const std::string& path : changed_) {
      if (path.ends_with(".c")) continue;
      for (const auto& [source, unit] : table_.all()) {
        if (has_source(source)) continue;
        if (names_file(makefile_of(tree_, fs::path(source).parent_path()), path))
          add({unit.goal, unit.goal, true, target_of(unit), false});
      }
    }
  }

  bool has_rust() const {
    const fs::path config = tree_ / "obj/.config";
    return fs::exists(config) && read_text(config).find("\nCONFIG_RUST=y\n") != std::string::npos;
  }

  bool is_host_program(const std::string& path) const {
    std::string text = makefile_of(tree_, fs::path(path).parent_path());
    return path.ends_with(".c") && text.find("hostprogs") != text.npos &&
           names_file(text, fs::path(path).stem().string());
  }

  bool has_file(const std::string& path) const {
    return std::binary_search(files_.begin(), files_.end(), path);
  }

  UnitTable& table_;
  const fs::path& tree_;
  const std::vector<std::string>& files_;
  const fs::path cache_;
  Affected affected_;
  const Includes* known_ = nullptr;
  std::optional<Includes> includes_;
  std::vector<std::string> changed_;
  std::vector<const FileChange*> build_files_;
  std::map<std::string, bool> included_;  // path -> is the source of a unit
  std::set<std::string> new_, gone_, shadows_, made_, readers_;
  std::map<std::string, size_t> taken_;  // name -> place in affected_.units
};

}  // namespace

Affected find_affected(const std::vector<FileChange>& changes, UnitTable& table,
                       const fs::path& tree, const std::vector<std::string>& files,
                       const fs::path& cache) {
  return Finder(table, tree, files, cache).run(changes);
}

Affected find_affected(const std::vector<FileChange>& changes, UnitTable& table,
                       const fs::path& tree, const std::vector<std::string>& files,
                       const Includes& includes) {
  return Finder(table, tree, files, includes).run(changes);
}

}  // namespace ksplice
