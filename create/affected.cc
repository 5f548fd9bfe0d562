#include "create/affected.h"

#include <fmt/core.h>

#include <set>

namespace ksplice {

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

}  // namespace

FileClass classify_file(const std::string& path) {
  std::string name = base_name(path);
  if (has_prefix(path, {"Documentation/", "LICENSES/"}) ||
      has_suffix(name, {".rst", ".txt", ".md", ".yaml"}) || path.find('/') == std::string::npos)
    return name == "Makefile" || name == "Kbuild" ? FileClass{FileKind::BuildFile, ""}
                                                  : FileClass{FileKind::Ignored, "documentation"};
  if (has_prefix(path, {"tools/", "samples/", "scripts/", "usr/"}))
    return {FileKind::Ignored, "not part of the running kernel's code"};
  if (has_prefix(path, {"arch/"}) && !has_prefix(path, {"arch/x86/"}) &&
      path.find('/', 5) != std::string::npos)
    return {FileKind::Ignored, "another architecture"};
  if (has_prefix(path, {"arch/x86/um/"})) return {FileKind::Ignored, "another architecture"};
  if (name.starts_with("Kconfig")) return {FileKind::Ignored, "the configuration stays as it is"};
  if (name.starts_with("Makefile") || name.starts_with("Kbuild")) return {FileKind::BuildFile, ""};
  for (const Place& place : Unreachable)
    if (path.starts_with(place.prefix)) return {FileKind::Refused, place.why};
  if (has_suffix(name, {".S"})) return {FileKind::Refused, "is assembly"};
  if (has_suffix(name, {".lds", ".lds.h", ".lds.S"}))
    return {FileKind::Refused, "decides the layout of the whole kernel"};
  if (has_suffix(name, {".c", ".h", ".inc", ".inl", ".cinc"})) return {FileKind::Code, ""};
  if (name == ".gitignore" || name == ".mailmap" || has_suffix(name, {"defconfig", ".config"}) ||
      has_suffix(name, {".sh", ".pl", ".py", ".rs", ".dts", ".dtsi"}))
    return {FileKind::Ignored, "not part of the kernel's C code"};
  return {FileKind::Refused, "is of a kind that cannot be updated"};
}

std::vector<std::string> check_files(const std::vector<FileChange>& changes) {
  std::vector<std::string> notes;
  std::vector<Refusal> refusals;
  bool code = false;
  for (const FileChange& change : changes) {
    FileClass file = classify_file(change.path);
    code = code || file.kind == FileKind::Code;
    if (file.kind == FileKind::Ignored)
      notes.push_back(fmt::format("{} is ignored: {}", change.path, file.why));
    if (file.kind != FileKind::Refused) continue;
    Refusal refusal;
    refusal.code = "unsupported_file";
    refusal.object = change.path;
    refusal.message = fmt::format("{} {}", change.path, file.why);
    refusal.advice = "leave this file out of the patch if the fix does not need it";
    refusals.push_back(refusal);
  }
  if (!refusals.empty()) throw Refused(refusals);
  if (code) return notes;
  std::string list;
  for (const std::string& note : notes) list += "\n  " + note;
  throw Error(
      "no_change",
      "no changes detected: the patch changes no source that the kernel is built from" + list);
}

Affected find_affected(const std::vector<FileChange>& changes, UnitTable& table,
                       const std::filesystem::path& tree, const std::vector<std::string>& files) {
  Affected affected;
  std::set<std::string> included, taken;
  auto add = [&](AffectedUnit unit) {
    if (taken.insert(unit.post.empty() ? unit.pre : unit.post).second)
      affected.units.push_back(std::move(unit));
  };
  for (const FileChange& change : changes) {
    FileKind kind = classify_file(change.path).kind;
    if (kind == FileKind::BuildFile)
      affected.notes.push_back(
          fmt::format("{} counts for the files that the patch adds only", change.path));
    if (kind != FileKind::Code) continue;
    bool is_c = change.path.ends_with(".c");
    if (change.kind == ChangeKind::Added) {
      if (is_c) add({"", object_of(change.path), true, ""});
      continue;  // whatever includes a new header is changed itself
    }
    std::optional<ConfiguredUnit> unit;
    if (change.old_path.ends_with(".c")) unit = table.find(change.old_path);
    if (!unit) {
      included.insert(change.old_path);
    } else if (change.kind == ChangeKind::Deleted) {
      affected.notes.push_back(fmt::format("{} is deleted: its running code stays", change.path));
    } else if (change.kind == ChangeKind::Renamed) {
      add({unit->goal, object_of(change.path), true, target_of(*unit)});
    } else {
      add({unit->goal, unit->goal, true, target_of(*unit)});
    }
  }
  if (included.empty()) return affected;
  std::set<std::string> useless = included;
  for (const std::string& path : included) {
    for (const std::string& source : find_includers(tree, files, {path})) {
      auto unit = table.all().find(source);
      if (unit == table.all().end()) continue;
      useless.erase(path);
      add({unit->second.goal, unit->second.goal, false, target_of(unit->second)});
    }
  }
  for (const std::string& path : useless)
    affected.notes.push_back(fmt::format("{} is not part of this configuration", path));
  return affected;
}

}  // namespace ksplice
