#include "create/kconfig.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

// Names and values; one that is not set is as one that is not there.
std::map<std::string, std::string> options_of(const std::string& config) {
  std::map<std::string, std::string> options;
  std::istringstream lines(config);
  for (std::string line; std::getline(lines, line);)
    if (const size_t equals = line.find('='); line.starts_with("CONFIG_") && equals != line.npos)
      options[line.substr(0, equals)] = line.substr(equals + 1);
  return options;
}

// The patch's Kconfig files in the tree, for as long as this lives.
class PatchedKconfig {
 public:
  PatchedKconfig(Overlay& overlay, const std::vector<const FileChange*>& changes)
      : overlay_(overlay), changes_(changes) {
    for (const FileChange* change : changes_) {
      if (change->kind == ChangeKind::Deleted)
        overlay_.remove(change->path);
      else
        overlay_.replace(change->path, change->content);
    }
  }
  ~PatchedKconfig() {
    for (const FileChange* change : changes_) overlay_.restore(change->path);
  }
  PatchedKconfig(const PatchedKconfig&) = delete;
  PatchedKconfig& operator=(const PatchedKconfig&) = delete;

 private:
  Overlay& overlay_;
  const std::vector<const FileChange*>& changes_;
};

}  // namespace

bool is_kconfig(const std::string& path) {
  return fs::path(path).filename().string().starts_with("Kconfig");
}

std::vector<std::string> changed_options(const std::string& before, const std::string& after) {
  const std::map<std::string, std::string> was = options_of(before), is = options_of(after);
  std::vector<std::string> changed;
  for (const auto& [name, value] : is) {
    const auto old = was.find(name);
    if (old == was.end() || old->second != value) changed.push_back(name + "=" + value);
  }
  for (const auto& [name, value] : was)
    if (!is.contains(name)) changed.push_back(name);
  return changed;
}

void check_options(Overlay& overlay, const Kbuild& kbuild, const std::vector<FileChange>& changes) {
  constexpr const char* Patched = ".config.patched";
  constexpr size_t Shown = 8;
  std::vector<const FileChange*> files;
  for (const FileChange& change : changes)
    if (is_kconfig(change.path)) files.push_back(&change);
  if (files.empty()) return;
  const fs::path config = overlay.obj() / ".config", patched = overlay.obj() / Patched;
  fs::copy_file(config, patched, fs::copy_options::overwrite_existing);
  MakeResult run;
  {
    const PatchedKconfig guard(overlay, files);
    run = run_make(kbuild, {fmt::format("KCONFIG_CONFIG={}", Patched), "olddefconfig"});
  }
  std::vector<std::string> options;
  if (run.status == 0) options = changed_options(read_text(config), read_text(patched));
  fs::remove(patched);
  fs::remove(patched.string() + ".old");
  if (run.status == 0 && options.empty()) return;
  std::vector<std::string> shown(
      options.begin(),
      options.begin() + static_cast<std::ptrdiff_t>(std::min(Shown, options.size())));
  if (options.size() > Shown) shown.push_back(fmt::format("and {} more", options.size() - Shown));
  std::vector<Refusal> refusals;
  for (const FileChange* file : files) {
    Refusal& refusal = refusals.emplace_back();
    refusal.code = "unsupported_file";
    refusal.object = file->path;
    if (run.status != 0)
      refusal.message = fmt::format("{} does not configure this kernel with the patch:\n{}",
                                    file->path, without_chatter(run.output));
    else
      refusal.message = fmt::format(
          "with {}, the kernel would be configured otherwise ({}): the running one is not, and "
          "code "
          "that asks for these options would be left out, or in",
          file->path, fmt::join(shown, ", "));
    refusal.advice =
        "leave the file out of the patch, and write the code without asking for the option";
  }
  throw Refused(refusals);
}

}  // namespace ksplice
