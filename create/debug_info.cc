#include "create/debug_info.h"

#include <fmt/core.h>

#include "create/package/tarball.h"
#include "objdiff/base/file.h"
#include "objdiff/object/elf_read.h"
#include "objdiff/update/debug_file.h"

namespace ksplice {

namespace fs = std::filesystem;

DebugTree collect_debug_info(const std::vector<TargetUpdate>& targets,
                             const std::deque<ChangedUnit>& units, const BuiltModules& modules,
                             const Overlay& overlay, const std::string& id,
                             const std::string& release) {
  const std::string source = fmt::format("/usr/src/ksplice-{}/{}", id, release);
  // Out-of-tree modules are compiled in a copy of their own.
  const PathNames names = {{overlay.tree().string(), source},
                           {(overlay.work() / "module").string(), source + "/module"}};
  DebugTree tree;
  for (const TargetUpdate& target : targets) {
    std::vector<const Object*> posts;
    for (const ChangedUnit& unit : units)
      if (std::ranges::find(target.update.placed, &unit.post, &PlacedRange::post) !=
          target.update.placed.end())
        posts.push_back(&unit.post);
    const fs::path& module = modules.updates.at(target.target);
    DebugFile made = make_debug_file(read_object(module.string()), target.update, posts, names);
    const std::string build_id = read_run_image(module.string()).build_id;
    const std::string file =
        fmt::format(".build-id/{}/{}.debug", build_id.substr(0, 2), build_id.substr(2));
    tree.files["usr/lib/debug/" + file] = std::move(made.file);
    tree.links[fmt::format("usr/lib/debug/lib/modules/{}/ksplice/{}.ko", release, target.module)] =
        "../../../../" + file;
    for (const auto& [path, name] : made.sources)
      if (name != path && fs::is_regular_file(path)) tree.files[name.substr(1)] = read_file(path);
  }
  return tree;
}

std::string write_debug_tarball(const DebugTree& tree, const std::string& id,
                                const fs::path& folder) {
  constexpr int Level = 6;
  std::vector<TarEntry> entries;
  for (const auto& [name, content] : tree.files) entries.push_back({name, content, ""});
  for (const auto& [name, target] : tree.links) entries.push_back({name, {}, target});
  const fs::path path = folder / fmt::format("ksplice-{}-dbg.tar.gz", id);
  write_file(path, make_tarball(entries, Level));
  return path.string();
}

}  // namespace ksplice
