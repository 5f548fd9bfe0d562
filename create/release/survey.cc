#include "create/release/survey.h"

#include <algorithm>

#include "create/checks.h"
#include "create/overlay.h"
#include "create/targets.h"
#include "create/toolchain.h"
#include "objdiff/arch/series.h"

namespace ksplice {

namespace fs = std::filesystem;

Survey::Survey(const Options& options, const KernelConfig& kernel, const fs::path& source,
               Progress& progress)
    : options_(options), kernel_(kernel), progress_(progress), source_(kernel_source(source)) {
  get_series(kernel.release);  // refuses one that is not known
  const Toolchain toolchain = find_toolchain(kernel);
  progress.notes(
      check_tools(kernel, compare_tools(kernel, toolchain), options.skip_toolchain_check));
  progress.stage("mirror the source");
  Overlay overlay(options.cache, source, tree_key(kernel, toolchain));
  const Images images(kernel, options.cache / "images", overlay.work("4-images"), {});
  banner_ = images.vmlinux().banner;
  check_version(images.vmlinux(), source_, options.skip_toolchain_check, progress);
  progress.stage("prepare kbuild");
  kbuild_ = make_kbuild(overlay, kernel, toolchain, options.jobs);
  kbuild_.watch = [&](std::string_view text) { progress.make_output(text); };
  progress.result(prepare(overlay, kbuild_, kernel, toolchain) ? "made" : "from the cache");
  progress.stage("list the units of the configuration");
  table_.emplace(kbuild_, overlay.template_folder() / ".ksplice-units");
  progress.result(counted(table_->all().size(), "unit"));
  kbuild_.watch = nullptr;
  files_ = overlay.files();
  std::vector<std::string> all;
  const std::vector<std::string> generated = generated_headers(overlay.tree());
  std::merge(files_.begin(), files_.end(), generated.begin(), generated.end(),
             std::back_inserter(all));
  includes_.emplace(overlay.tree(), std::move(all), overlay.includes());
}

Affected Survey::affected(const std::vector<FileChange>& changes) {
  return find_affected(changes, *table_, source_, files_, *includes_);
}

size_t Survey::count_units(const Affected& affected, const std::vector<FileChange>& changes) {
  const std::set<std::string> changed = paths_before(changes);
  size_t number = 0;
  for (const AffectedUnit& unit : affected.units) {
    const bool is_open = unit.made && !unit.certain;
    if (is_open && !made_) compile_made(affected);
    number += !is_open || may_read(unit.pre, changed) ? 1 : 0;
  }
  return number;
}

bool Survey::may_read(const std::string& unit, const std::set<std::string>& changed) const {
  const auto made = made_->find(unit);
  return made == made_->end() ||
         std::any_of(changed.begin(), changed.end(),
                     [&](const std::string& path) { return made->second.contains(path); });
}

// A unit that does not compile is not in the list, and counts always.
void Survey::compile_made(const Affected& affected) {
  std::vector<std::string> goals;
  for (const AffectedUnit& unit : affected.units)
    if (unit.made) goals.push_back(unit.pre);
  const Toolchain toolchain = find_toolchain(kernel_);
  Overlay overlay(options_.cache, source_, tree_key(kernel_, toolchain));
  Kbuild kbuild = make_kbuild(overlay, kernel_, toolchain, options_.jobs);
  kbuild.watch = [&](std::string_view text) { progress_.make_output(text); };
  prepare(overlay, kbuild, kernel_, toolchain);
  made_.emplace();
  for (const BuiltUnit& built : build_units(kbuild, goals).built)
    (*made_)[built.name] = {built.sources.begin(), built.sources.end()};
}

}  // namespace ksplice
