// kbuild writes the paths of a module's parts to NAME.mod, one a line: absolute ones up to 6.12,
// and relative to the module's folder since 6.13 (scripts/Makefile.build, cmd_mod).

#include "create/module_parts.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "create/outside.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

std::string module_of(const fs::path& list) {
  std::string name = list.stem().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

// Not only objects: a library or anything else that the linker takes may be a part.
std::string part_difference(const fs::path& pre, const fs::path& post) {
  if (read_file(pre) == read_file(post)) return "";
  if (!post.string().ends_with(".o")) return "in its bytes";
  return object_difference(pre, post);
}

Refusal refuse_part(const std::string& part, const std::string& module, const std::string& how) {
  Refusal refusal;
  refusal.code = "unsupported_file";
  refusal.object = part;
  refusal.message = fmt::format(
      "{} {} with the patch: it is a part of module {}, and no C file that kbuild's own rules "
      "compile, so what changed in it cannot be told",
      part, how, module);
  refusal.advice =
      "let kbuild's own rule compile it (flags of a file's own: CFLAGS_NAME.o), or write the fix "
      "so that it does not change";
  return refusal;
}

}  // namespace

std::map<std::string, std::string> list_module_parts(const fs::path& folder, const fs::path& root) {
  std::set<fs::path> lists;  // in the same order each time
  for (const auto& entry : fs::recursive_directory_iterator(root))
    if (entry.path().extension() == ".mod" && entry.is_regular_file()) lists.insert(entry.path());
  std::map<std::string, std::string> parts;
  for (const fs::path& list : lists) {
    std::istringstream words(read_text(list));
    for (std::string word; words >> word;) {
      const fs::path path = (folder / word).lexically_normal();
      auto [known, is_new] =
          parts.emplace(path.lexically_relative(folder).string(), module_of(list));
      if (!is_new) known->second += ":" + module_of(list);
    }
  }
  return parts;
}

std::map<std::string, std::string> parts_beside(const std::map<std::string, std::string>& parts,
                                                const std::map<std::string, BuiltUnit>& units) {
  std::map<std::string, std::string> others;
  for (const auto& [part, module] : parts)
    if (!units.contains(part)) others.emplace(part, module);
  return others;
}

std::vector<Refusal> compare_other_parts(const std::map<std::string, OtherPart>& pre,
                                         const std::map<std::string, OtherPart>& post) {
  std::vector<Refusal> refusals;
  for (const auto& [part, was] : pre) {
    const auto now = post.find(part);
    if (now == post.end()) {
      refusals.push_back(refuse_part(part, was.module, "is gone"));
      continue;
    }
    const std::string difference = part_difference(was.kept, now->second.kept);
    if (difference.empty() && was.module == now->second.module) continue;
    refusals.push_back(refuse_part(part, was.module, "differs"));
    refusals.back().found = difference;
  }
  for (const auto& [part, now] : post)
    if (!pre.contains(part)) refusals.push_back(refuse_part(part, now.module, "is new"));
  return refusals;
}

}  // namespace ksplice
