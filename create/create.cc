// The stages, in order. Between them, data goes by value; files of a stage are in a numbered
// folder of the overlay's slot, which --keep-work copies out.
#include "create/create.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>

#include "create/absent.h"
#include "create/affected.h"
#include "create/cause.h"
#include "create/checks.h"
#include "create/cold_modules.h"
#include "create/config_dir.h"
#include "create/consent.h"
#include "create/debug_info.h"
#include "create/external.h"
#include "create/fleet.h"
#include "create/gone_units.h"
#include "create/hints.h"
#include "create/job.h"
#include "create/kbuild.h"
#include "create/kconfig.h"
#include "create/leave_out.h"
#include "create/neighbours.h"
#include "create/only_targets.h"
#include "create/origin.h"
#include "create/overlay.h"
#include "create/package/package.h"
#include "create/pairs.h"
#include "create/patch.h"
#include "create/recompile.h"
#include "create/source_tarball.h"
#include "create/targets.h"
#include "create/units.h"
#include "create/update_module.h"
#include "objdiff/arch/series.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"
#include "objdiff/base/utc.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

std::string now_text() {
  const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
  return utc_text(epoch != nullptr ? std::atoll(epoch) : now_utc());
}

// What the patches make of one source.
struct Patched {
  AppliedPatch applied;
  Origins origins;
  std::vector<std::string> notes;  // for the tarball
};

// Before anything is built: does the patch apply, and can what it changes be updated at all. Fills
// patched as far as it comes.
void apply_to_copies(const Options& options, const Job& job, const fs::path& source,
                     const fs::path& staging, Patched& patched, Progress& progress) {
  progress.stage("apply the patch to copies");
  const SourceReader read = [&](const std::string& path) {
    return fs::is_regular_file(source / path) ? std::optional(read_text(source / path))
                                              : std::nullopt;
  };
  RestCheck rest = check_rest(job.patches, job.left_out, read);
  if (!rest.refusals.empty()) throw Refused(rest.refusals);
  progress.notes(rest.notes);
  patched.notes = rest.notes;
  patched.applied = apply_patches(job.rest(), options.patch_options, source, staging);
  patched.origins =
      Origins(job.patches, weave(job.patches, job.left_indices(), read), patched.applied.changes);
  progress.notes(patched.applied.notes);
  if (options.module_source.empty()) progress.notes(check_files(patched.applied.changes, source));
  progress.result(counted(patched.applied.changes.size(), "file") + " changed");
}

// Units of the kernel's own tree.
std::vector<ObjectPair> compile_tree(const Options& options, const KernelConfig& kernel,
                                     const Toolchain& toolchain, const AppliedPatch& applied,
                                     Overlay& overlay, const Kbuild& kbuild,
                                     const EarlyJudge& judge, Progress& progress) {
  check_options(overlay, kbuild, applied.changes);
  progress.stage("find the units that the patch touches");
  UnitTable table(kbuild, overlay.template_folder() / ".ksplice-units");
  Affected affected = find_affected(applied.changes, table, overlay);
  find_gone_units(table, overlay, kbuild, affected);
  progress.result(counted(affected.units.size(), "unit"));
  progress.notes(affected.notes);
  if (!affected.refusals.empty()) throw Refused(affected.refusals);
  leave_out_targets(affected.units, options.only_targets, progress);
  if (affected.units.empty() && affected.outside.empty() && !affected.makes_headers)
    throw Error("no_change", fmt::format("no changes detected: kernel {} is built from none of the "
                                         "files that the patch changes:\n  {}",
                                         kernel.release, fmt::join(affected.notes, "\n  ")));
  PairInput input{overlay,
                  kbuild,
                  affected.units,
                  affected.outside,
                  affected.changes,
                  *applied.source,
                  options.cache,
                  build_key(overlay, kernel, toolchain),
                  judge,
                  get_series(kernel.release),
                  !options.no_shortcuts,
                  keeps_commands(affected.changes) && !affected.makes_headers,
                  options.leave_out_init};
  return build_pairs(input, progress);
}

// Units of an out-of-tree module.
std::vector<ObjectPair> compile_external(const Options& options, const AppliedPatch& applied,
                                         Overlay& overlay, Kbuild& kbuild, Progress& progress) {
  ExternalPairs external =
      build_external_pairs(overlay, kbuild, options.module_source, applied.changes, progress);
  kbuild.symvers = external.folder / "Module.symvers";
  progress.notes(external.notes);
  return std::move(external.pairs);
}

// Compiles what the patch affects, before and after.
std::vector<ObjectPair> compile(const Options& options, const AppliedPatch& applied,
                                const KernelConfig& kernel, const Toolchain& toolchain,
                                const RunImage& image, Overlay& overlay, Kbuild& kbuild,
                                const EarlyJudge& judge, Progress& progress) {
  progress.stage("prepare kbuild");
  bool made = prepare(overlay, kbuild, kernel, toolchain);
  progress.result(made ? "made" : "from the cache");
  check_configuration(kernel, image, kbuild, options.skip_toolchain_check, progress);
  std::vector<ObjectPair> pairs =
      options.module_source.empty()
          ? compile_tree(options, kernel, toolchain, applied, overlay, kbuild, judge, progress)
          : compile_external(options, applied, overlay, kbuild, progress);
  leave_out_targets(pairs, options.only_targets, progress);
  return pairs;
}

// Whole modules for hosts that do not have them loaded yet.
void add_cold_modules(const Options& options, const std::vector<TargetUpdate>& updates,
                      const std::vector<ObjectPair>& pairs, const Overlay& overlay,
                      const Kbuild& kbuild, const std::string& folder, KernelPart& part,
                      Progress& progress) {
  std::vector<std::string> targets = whole_targets(updates, part.notes);
  if (targets.empty()) return;
  progress.stage(fmt::format("build {} whole", fmt::join(targets, ", ")));
  std::map<std::string, fs::path> modules =
      options.module_source.empty()
          ? build_cold_modules(kbuild, targets, pairs, overlay.work() / "6-cold")
          : build_cold_external(kbuild, targets, kbuild.symvers.parent_path());
  for (PackageTarget& target : part.kernel.targets) {
    auto module = modules.find(target.name);
    if (module == modules.end()) continue;
    target.cold_file = folder + "cold/" + target.name + ".ko";
    target.cold_build_id = read_run_image(module->second.string()).build_id;
    part.files[target.cold_file] = read_file(module->second);
  }
}

[[noreturn]] void refuse(std::vector<Refusal>& refusals, const Origins& origins,
                         const std::deque<ChangedUnit>& units) {
  origins.name(refusals, units);
  correct_hints(refusals);
  throw Refused(refusals);
}

// Before the units are compiled that only read the patch's headers.
void judge_early(const Options& options, const Origins& origins, const std::vector<ObjectPair>& own,
                 Progress& progress) {
  std::deque<ChangedUnit> units;
  std::vector<Refusal> refusals = find_early_refusals(options, own, units);
  if (refusals.empty()) return;
  progress.note("the units that only read the patch's headers were not compiled any more");
  refuse(refusals, origins, units);
}

// Everything for one kernel.
KernelPart create_for_kernel(const Options& options, const Job& job, const Patched& patched,
                             const KernelConfig& kernel, Overlay& overlay, Kbuild& kbuild,
                             const Toolchain& toolchain, const Package& package,
                             Progress& progress) {
  const AppliedPatch& applied = patched.applied;
  const std::string description = job.description_of_rest();
  progress.stage(fmt::format("read the image of {}", kernel.release));
  Images images(kernel, options.cache / "images", overlay.work("4-images"), job.lowers);
  check_map(kernel, images.vmlinux(), progress);
  check_version(images.vmlinux(), overlay.source(), options.skip_toolchain_check, progress);
  if (!images.types("vmlinux").present())
    progress.note(
        "the kernel has no BTF: types that new code is the first to use are not compared");

  std::vector<ObjectPair> pairs = compile(
      options, applied, kernel, toolchain, images.vmlinux(), overlay, kbuild,
      [&](const std::vector<ObjectPair>& own) {
        judge_early(options, patched.origins, own, progress);
      },
      progress);

  // What differs between pre and post, by function and datum.
  progress.stage("compare the objects");
  std::vector<Refusal> refusals;
  std::vector<std::string> notes = patched.notes;
  std::deque<ChangedUnit> units = diff_pairs(pairs, refusals, notes);
  progress.result(fmt::format("{} of {} units differ", units.size(), pairs.size()));
  std::vector<std::string> consented = settle_consent(options, units, refusals);
  notes.insert(notes.end(), consented.begin(), consented.end());
  progress.notes({notes.begin() + std::ssize(patched.notes), notes.end()});
  const bool has_changed = std::any_of(units.begin(), units.end(), has_changes);
  const Error nothing(
      "no_change", "no changes detected: the patch changes nothing in the compiled code",
      "a change of comments, or of code that this configuration leaves out, needs no update");
  // A name alone can lead the rest of the kernel elsewhere.
  if (refusals.empty() && !has_changed && std::none_of(units.begin(), units.end(), changes_names))
    throw nothing;

  // Which line of the patch each function is replaced for.
  find_causes(units, find_changed_lines(
                         applied.changes, job.rest(),
                         options.module_source.empty() ? overlay.source() : kernel.module_source));

  // That the running kernel is pre, and where everything is that the new code names.
  progress.stage("match with the running code");
  std::vector<std::string> absent;
  match_units(units, images, refusals, absent);
  progress.notes(absent);
  notes.insert(notes.end(), absent.begin(), absent.end());
  if (!refusals.empty()) refuse(refusals, patched.origins, units);
  if (std::none_of(units.begin(), units.end(), has_changes)) {
    judge_names(units, images, refusals);
    if (!refusals.empty()) refuse(refusals, patched.origins, units);
    if (!has_changed) throw nothing;
    throw Error(
        "no_change",
        fmt::format("no changes detected: kernel {} runs none of the code that the patch "
                    "changes{}{}",
                    kernel.release, absent.empty() ? "" : ":\n  ", fmt::join(absent, "\n  ")));
  }

  progress.stage("make the update objects");
  std::vector<TargetUpdate> targets = make_updates(units, images, job.id, description, refusals);
  if (!refusals.empty()) refuse(refusals, patched.origins, units);

  progress.stage("build the modules");
  BuiltModules modules =
      build_modules(kbuild, targets, overlay.work() / "5-modules", options.cache / "core",
                    build_key(overlay, kernel, toolchain),
                    !options.no_shortcuts && keeps_commands(patched.applied.changes));
  settle_neighbours(targets, modules);
  std::string folder = kernel_folder(package, kernel.release, images.vmlinux().build_id);
  KernelPart part = make_part(targets, units, images, modules, kernel.release, folder);
  for (const ObjectPair& pair : pairs)
    if (!pair.post.empty()) part.summary.units.push_back(pair.unit);
  for (const ChangedUnit& unit : units)
    if (has_changes(unit)) part.summary.changed.push_back(unit.name);
  part.notes = notes;
  for (const TargetUpdate& target : targets)
    for (const std::string& note : describe_given_away(target)) {
      progress.note(note);
      part.notes.push_back(note);
    }
  if (options.debug_info) {
    progress.stage("collect the debug information");
    part.debug = collect_debug_info(targets, units, modules, overlay, job.id, kernel.release);
  }
  if (options.build_modules)
    add_cold_modules(options, targets, pairs, overlay, kbuild, folder, part, progress);
  return part;
}

void keep_work(const Overlay& overlay, const fs::path& target, Progress& progress) {
  fs::remove_all(target);
  copy_tree(overlay.work(), target);
  progress.note("the stages' files are in " + target.string());
}

void run_stages(const Options& options, const Job& job, const KernelConfig& kernel,
                const fs::path& source, Patched& patched, Package& package, CreateResult& result,
                Progress& progress) {
  get_series(kernel.release);  // refuses one that is not known
  Toolchain toolchain = find_toolchain(kernel);
  progress.notes(
      check_tools(kernel, compare_tools(kernel, toolchain), options.skip_toolchain_check));
  TempDir staging;
  fs::path changed = options.module_source.empty() ? kernel_source(source) : kernel.module_source;
  if (!options.prebuild) apply_to_copies(options, job, changed, staging.path(), patched, progress);
  progress.stage("mirror the source");
  Overlay overlay(options.cache, source, tree_key(kernel, toolchain));
  Kbuild kbuild = make_kbuild(overlay, kernel, toolchain, options.jobs);
  kbuild.watch = [&](std::string_view text) { progress.make_output(text); };
  copy_tree(staging.path(), overlay.work() / "1-patch");
  fs::path kept = options.output / fmt::format("ksplice-{}-work", job.id);
  if (options.configs.size() > 1) kept += "-" + kernel.release;
  try {
    if (options.prebuild) {
      progress.stage("prepare kbuild");
      bool made = prepare(overlay, kbuild, kernel, toolchain);
      progress.result(made ? "made" : "from the cache");
      progress.stage("list the units of the configuration");
      UnitTable table(kbuild, overlay.template_folder() / ".ksplice-units");
      progress.result(counted(table.all().size(), "unit"));
      return;
    }
    KernelPart part = create_for_kernel(options, job, patched, kernel, overlay, kbuild, toolchain,
                                        package, progress);
    add_new(result.warnings, part.warnings);
    add_new(result.notes, part.notes);
    result.kernels.push_back(part.summary);
    result.debug.merge(std::move(part.debug));
    add_part(std::move(part), package);
  } catch (...) {
    if (options.keep_work) keep_work(overlay, kept, progress);
    throw;
  }
  if (options.keep_work) keep_work(overlay, kept, progress);
}

// The same, with the part of the patch that an error comes from.
void run_kernel(const Options& options, const Job& job, const KernelConfig& kernel,
                const fs::path& source, Package& package, CreateResult& result,
                Progress& progress) {
  Patched patched;
  try {
    run_stages(options, job, kernel, source, patched, package, result, progress);
  } catch (Error& error) {
    patched.origins.name(error);
    throw_missing(job.patches, job.left_out, error);
    throw;
  }
}

// The kernel's own source, where its configuration directory has one and several kernels or no
// SOURCE are given.
fs::path source_of(const KernelConfig& kernel, const Options& options) {
  bool own = !kernel.source.empty() && (options.source.empty() || options.configs.size() > 1);
  if (own) return kernel.source;
  if (options.source.empty())
    throw Error("usage", fmt::format("SOURCE is missing, and {} has no source", kernel.name),
                "give SOURCE, or make a link source in the configuration directory");
  return options.source;
}

}  // namespace

fs::path source_folder(const fs::path& source, const Options& options, Progress& progress) {
  return fs::is_regular_file(source) ? unpack_source(options.cache, source, progress) : source;
}

std::vector<KernelConfig> read_kernels(const Options& options) {
  std::vector<KernelConfig> kernels;
  const Root root = options.root.empty() ? Root::Used : Root::Ignored;
  for (const fs::path& dir : options.configs) kernels.push_back(read_config_dir(dir, root));
  if (kernels.empty()) kernels.push_back(read_installed_kernel(running_release()));
  if (!options.module_source.empty()) check_module_source(options.module_source);
  for (KernelConfig& kernel : kernels) {
    source_of(kernel, options);
    if (!options.root.empty()) kernel.root = usable_root(options.root);
    if (!options.module_source.empty()) kernel.module_source = fs::canonical(options.module_source);
  }
  return kernels;
}

void check_output(const Options& options) {
  if (options.prebuild) return;
  if (!fs::is_directory(options.output))
    throw Error("failed", fmt::format("{} is not a folder", options.output.string()),
                "make it, or name another with --output");
  if (::access(options.output.c_str(), W_OK | X_OK) != 0)
    throw Error(
        "failed",
        fmt::format("cannot write to {}: {}", options.output.string(), std::strerror(errno)),
        "name another folder with --output");
}

namespace {

// Makes the update for each kernel. Every kernel of a fleet is tried, so that all that refuse are
// named at once.
void run_kernels(const Options& options, const Job& job, const std::vector<KernelConfig>& kernels,
                 Package& package, CreateResult& result, Progress& progress) {
  for (const KernelConfig& kernel : kernels) {
    try {
      fs::path source = source_folder(source_of(kernel, options), options, progress);
      run_kernel(options, job, kernel, source, package, result, progress);
    } catch (const Error& error) {
      if (kernels.size() == 1 || !is_of_kernel(error)) throw;
      result.left_out.push_back(failure_of(kernel.release, error));
      progress.note(fmt::format("kernel {} refuses: {}", kernel.release, error.what()));
    }
  }
  if (!result.left_out.empty() && !options.partial_fleet) throw_failures(result.left_out);
  if (package.kernels.empty() && !options.prebuild)
    throw Error("no_kernel", "every kernel refused the update", "see the notes above");
}

// With --keep-going: again and again, without the patches that a refusal comes from.
void run_rest(const Options& options, Job& job, const std::vector<KernelConfig>& kernels,
              Package& package, CreateResult& result, Progress& progress) {
  for (std::vector<Refusal> reasons;;) {
    Package made;
    CreateResult found;
    try {
      run_kernels(options, job, kernels, made, found, progress);
      package = std::move(made);
      result = std::move(found);
      return;
    } catch (Error& error) {
      if (!options.keep_going) advise_leaving_out(error, job.patches, job.left_out);
      if (!options.keep_going || !is_of_kernel(error)) throw;
      const std::vector<LeftOutPatch> more =
          leave_out_culprits(error, job.patches, job.left_out, reasons);
      if (more.empty()) throw;
      for (const LeftOutPatch& left : more)
        progress.note(fmt::format("{} is left out: {}: {}", job.patches[left.patch].label,
                                  left.code, left.why));
    }
  }
}

// What the update fixes, for those who count CVEs.
void name_fixes(const Options& options, const Job& job, Package& package, Progress& progress) {
  const Fixes fixes = job.fixes_of_rest();
  package.upstream_commits = fixes.commits;
  package.cves = fixes.cves;
  add_new(package.cves, options.cves);
  std::sort(package.cves.begin(), package.cves.end());
  for (const std::string& cve : fixes.mentioned)
    if (std::find(package.cves.begin(), package.cves.end(), cve) == package.cves.end())
      progress.note(fmt::format("the patch mentions {}; if it fixes that, say --cve={}", cve, cve));
}

}  // namespace

CreateResult create_update(const Options& options, Progress& progress) {
  // What can be said at once is said before the first second of work.
  std::vector<KernelConfig> kernels = read_kernels(options);
  check_output(options);
  usable_cache(options.cache);
  const Signing signing = prepare_signing(options.sign);

  Job job;
  bool external = !options.module_source.empty();
  if (!options.prebuild)
    job = read_job(
        options,
        external ? options.module_source : source_folder(options.source, options, progress),
        progress);
  CreateResult result;
  Package package;
  run_rest(options, job, kernels, package, result, progress);
  result.id = job.id;
  result.description = job.description_of_rest();
  result.left_out_patches = job.describe_left_out();
  if (options.prebuild) {
    progress.end();
    return result;
  }
  for (const PackageKernel& kernel : package.kernels)
    for (const PackageTarget& target : kernel.targets) {
      for (const PackageLower& lower : target.stands_on) add_new(result.stands_on, {lower.id});
      if (target.kept) add_new(result.kept, {target.module});
    }
  progress.stage("write the tarball");
  package.id = job.id;
  set_terms(signing, package);
  name_fixes(options, job, package, progress);
  package.description = result.description;
  package.allow_busy = options.allow_busy;
  package.notes = result.notes;
  package.left_out_patches = result.left_out_patches;
  package.created = now_text();
  package.tool = "ksplice-create 1.0.0";
  const std::string text = job.text_of_rest();
  package.files["patch"].assign(text.begin(), text.end());
  result.tarball = write_package(package, options.output.string(), signing.sign);
  result.tarball_size = fs::file_size(result.tarball);
  if (options.debug_info) {
    result.debug_tarball = write_debug_tarball(result.debug, job.id, options.output);
    result.debug_size = fs::file_size(result.debug_tarball);
  }
  progress.end();
  return result;
}

}  // namespace ksplice
