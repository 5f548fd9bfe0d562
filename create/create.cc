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
#include <iostream>
#include <iterator>
#include <random>

#include "create/affected.h"
#include "create/config_dir.h"
#include "create/consent.h"
#include "create/kbuild.h"
#include "create/overlay.h"
#include "create/package.h"
#include "create/pairs.h"
#include "create/patch.h"
#include "create/targets.h"
#include "create/units.h"
#include "create/update_module.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

std::string random_id() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 8; ++i) id += "abcdefghijklmnopqrstuvwxyz0123456789"[random() % 36];
  return id;
}

std::string now_text() {
  const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
  std::time_t now = epoch != nullptr ? std::atoll(epoch) : std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  return text;
}

// Everything of the input but the kernel: the same for all kernels of a fleet.
struct Job {
  std::vector<Patch> patches;
  std::string id, description, text;
};

Job read_job(const Options& options, const fs::path& source) {
  Job job;
  unsigned strip = strip_of(options.patch_options);
  auto add = [&](const std::string& text, const std::string& name, unsigned levels) {
    for (const std::string& part : split_series(text)) {
      job.patches.push_back(parse_patch(part, levels, name));
      if (job.description.empty()) job.description = job.patches.back().subject;
    }
    job.text += text;
  };
  for (const std::string& file : options.patches) {
    if (file == "-")
      add({std::istreambuf_iterator<char>(std::cin), {}}, "standard input", strip);
    else
      add(read_text(file), file, strip);
  }
  if (!options.diffext.empty())
    add(diff_of_extension(source, options.diffext), "the change to *." + options.diffext, 1);
  if (!options.git.empty())
    add(diff_of_commit(source, options.git, options.series), "the change to " + options.git, 1);
  job.id = options.id.empty() ? random_id() : options.id;
  if (!options.description.empty()) job.description = options.description;
  return job;
}

void check_toolchain(const Toolchain& toolchain, bool skip, Progress& progress) {
  if (toolchain.same || toolchain.wanted.empty()) return;
  std::string what = fmt::format("the kernel was built with \"{}\"; {} here is \"{}\"",
                                 toolchain.wanted, toolchain.cc, toolchain.version);
  if (!skip)
    throw Error("wrong_toolchain", what,
                fmt::format("install the package {}, or give --skip-toolchain-check: run-pre "
                            "matching still has the last word",
                            toolchain.wanted.substr(0, toolchain.wanted.find(' '))));
  progress.note(what);
}

void check_map(const KernelConfig& kernel, const RunImage& image, Progress& progress) {
  if (kernel.system_map.empty()) return;
  SystemMap map = read_system_map(kernel.system_map.string());
  std::string finding = check_system_map(map, image);
  if (finding.empty()) return;
  if (map.is_stub) {
    progress.detail(fmt::format("{}: {}", kernel.system_map.string(), finding));
    return;
  }
  throw Error("bad_system_map", fmt::format("{}: {}", kernel.system_map.string(), finding),
              "the configuration directory needs the System.map of its own kernel, or none");
}

// The symbols of the core that ksplice-apply fills in, and where the kernel has them.
Finalization finalize_core(const std::vector<std::string>& names, const RunImage& image) {
  Finalization result;
  for (const std::string& name : names) {
    const RunSymbol* symbol = image.unique_symbol(name);
    if (symbol == nullptr)
      throw Error("failed_to_find", fmt::format("the kernel has not exactly one {}", name),
                  "this kernel's configuration is not supported by the core");
    result.symbols.push_back({name, image.locate(symbol->addr)});
  }
  return result;
}

bool is_wanted(const std::string& target, const std::vector<std::string>& patterns) {
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(), [&](const auto& each) {
           return matches_pattern(target, each);
         });
}

void leave_out_targets(std::vector<ObjectPair>& pairs, const Options& options, Progress& progress) {
  std::erase_if(pairs, [&](const ObjectPair& pair) {
    if (is_wanted(pair.target, options.only_targets)) return false;
    progress.note(fmt::format("{} of {} is left out by --only-targets", pair.unit, pair.target));
    return true;
  });
}

// Before anything is built: does the patch apply, and can what it changes be updated at all.
AppliedPatch apply_to_copies(const Options& options, const Job& job, const fs::path& source,
                             const fs::path& staging, Progress& progress) {
  progress.stage("apply the patch to copies");
  AppliedPatch applied = apply_patches(job.patches, options.patch_options, source, staging);
  progress.notes(applied.notes);
  progress.notes(check_files(applied.changes));
  progress.result(counted(applied.changes.size(), "file") + " changed");
  return applied;
}

// Compiles what the patch affects, before and after.
std::vector<ObjectPair> compile(const Options& options, const AppliedPatch& applied,
                                const KernelConfig& kernel, const Toolchain& toolchain,
                                Overlay& overlay, const Kbuild& kbuild, Progress& progress) {
  progress.stage("prepare kbuild");
  bool made = prepare(overlay, kbuild, kernel, toolchain);
  progress.result(made ? "made" : "from the cache");

  progress.stage("find the units that the patch touches");
  UnitTable table(kbuild, overlay.template_folder() / ".ksplice-units");
  Affected affected = find_affected(applied.changes, table, overlay.tree(), overlay.files());
  progress.result(counted(affected.units.size(), "unit"));
  progress.notes(affected.notes);
  if (affected.units.empty())
    throw Error("no_change", fmt::format("no changes detected: kernel {} is built from none of the "
                                         "files that the patch changes:\n  {}",
                                         kernel.release, fmt::join(affected.notes, "\n  ")));
  PairInput input{overlay,         kbuild,        affected.units,
                  applied.changes, options.cache, template_key(overlay, kernel, toolchain)};
  std::vector<ObjectPair> pairs = build_pairs(input, progress);
  leave_out_targets(pairs, options, progress);
  return pairs;
}

// Everything for one kernel: adds to package and result.
void create_for_kernel(const Options& options, const Job& job, const AppliedPatch& applied,
                       const KernelConfig& kernel, Overlay& overlay, const Kbuild& kbuild,
                       const Toolchain& toolchain, Package& package, CreateResult& result,
                       Progress& progress) {
  progress.stage(fmt::format("read the image of {}", kernel.release));
  Images images(kernel, options.cache / "images", overlay.work("4-images"));
  check_map(kernel, images.vmlinux(), progress);

  std::vector<ObjectPair> pairs =
      compile(options, applied, kernel, toolchain, overlay, kbuild, progress);

  // What differs between pre and post, by function and datum.
  progress.stage("compare the objects");
  std::vector<Refusal> refusals;
  std::deque<ChangedUnit> units = diff_pairs(pairs, refusals);
  progress.result(fmt::format("{} of {} differ", units.size(), counted(pairs.size(), "unit")));
  for (const std::string& note : settle_consent(options, units, refusals)) {
    progress.note(note);
    if (std::count(result.notes.begin(), result.notes.end(), note) == 0)
      result.notes.push_back(note);
  }
  if (units.empty())
    throw Error(
        "no_change", "no changes detected: the patch changes nothing in the compiled code",
        "a change of comments, or of code that this configuration leaves out, needs no update");

  // That the running kernel is pre, and where everything is that the new code names.
  progress.stage("match with the running code");
  match_units(units, images, refusals);
  if (!refusals.empty()) throw Refused(refusals);

  progress.stage("make the update objects");
  std::vector<TargetUpdate> targets =
      make_updates(units, images, job.id, job.description, refusals);
  if (!refusals.empty()) throw Refused(refusals);

  // One kbuild run links every update object and the core into modules.
  progress.stage("build the modules");
  std::vector<ModuleSource> sources;
  for (const TargetUpdate& target : targets)
    sources.push_back({target.target, target.module, &target.update.object});
  BuiltModules modules =
      build_modules(kbuild, sources, overlay.work() / "5-modules", options.cache / "core",
                    template_key(overlay, kernel, toolchain));
  result.warnings.insert(result.warnings.end(), modules.warnings.begin(), modules.warnings.end());

  KernelSummary summary;
  summary.release = kernel.release;
  for (const ObjectPair& pair : pairs) summary.units.push_back(pair.unit);
  for (const ChangedUnit& unit : units) summary.changed.push_back(unit.name);
  PackageKernel entry;
  entry.release = kernel.release;
  entry.build_id = images.vmlinux().build_id;
  std::string folder = "objects/" + kernel.release + "/";
  entry.core_file = folder + "ksplice.ko";
  entry.core_final = folder + "ksplice.final.json";
  package.files[entry.core_file] = read_file(modules.core);
  auto put_text = [&](const std::string& path, const std::string& text) {
    package.files[path].assign(text.begin(), text.end());
  };
  put_text(entry.core_final,
           write_finalization(finalize_core(modules.core_symbols, images.vmlinux())));
  for (const TargetUpdate& target : targets) {
    PackageTarget described = describe_target(target, units, images.get(target.target));
    described.file = folder + target.target + ".ko";
    described.final = folder + target.target + ".final.json";
    package.files[described.file] = read_file(modules.updates[target.target]);
    put_text(described.final, write_finalization(target.update.finalization));
    summary.targets.push_back({target.target, target.update.replaced, target.update.added});
    entry.targets.push_back(std::move(described));
  }
  result.kernels.push_back(std::move(summary));
  package.kernels.push_back(std::move(entry));
}

void keep_work(const Overlay& overlay, const fs::path& target, Progress& progress) {
  fs::remove_all(target);
  copy_tree(overlay.work(), target);
  progress.note("the stages' files are in " + target.string());
}

void run_kernel(const Options& options, const Job& job, const KernelConfig& kernel,
                const fs::path& source, Package& package, CreateResult& result,
                Progress& progress) {
  Toolchain toolchain = find_toolchain(kernel);
  check_toolchain(toolchain, options.skip_toolchain_check, progress);
  TempDir staging;
  AppliedPatch applied;
  if (!options.prebuild)
    applied = apply_to_copies(options, job, kernel_source(source), staging.path(), progress);
  progress.stage("mirror the source");
  std::string key =
      hash_text(kernel.config_text + fmt::format("{}", fmt::join(kernel.flags, "\n")) +
                kernel.kcflags + toolchain.cc + kernel.release);
  Overlay overlay(options.cache, source, key);
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
    create_for_kernel(options, job, applied, kernel, overlay, kbuild, toolchain, package, result,
                      progress);
  } catch (...) {
    if (options.keep_work) keep_work(overlay, kept, progress);
    throw;
  }
  if (options.keep_work) keep_work(overlay, kept, progress);
}

// SOURCE may be the distribution's tarball: unpacked into the cache once.
fs::path source_folder(const Options& options, Progress& progress) {
  if (!fs::is_regular_file(options.source)) return options.source;
  fs::path file = fs::canonical(options.source);
  auto time = fs::last_write_time(file).time_since_epoch().count();
  fs::path target = options.cache / "sources" /
                    hash_text(fmt::format("{} {} {}", file.string(), fs::file_size(file), time));
  if (!fs::exists(target)) {
    progress.stage(fmt::format("unpack {}", file.filename().string()));
    fs::create_directories(target.parent_path());
    TempDir fresh(target.parent_path());
    CommandResult run = run_command(
        {"tar", "-C", fresh.path().string(), "--strip-components=1", "-xf", file.string()});
    if (run.status != 0)
      throw Error("bad_source", fmt::format("cannot unpack {}: {}", file.string(), run.output));
    std::error_code taken;
    fs::rename(fresh.path(), target, taken);
  }
  return target;
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

}  // namespace

CreateResult create_update(const Options& options, Progress& progress) {
  // What can be said at once is said before the first second of work.
  std::vector<KernelConfig> kernels;
  for (const fs::path& dir : options.configs) kernels.push_back(read_config_dir(dir));
  if (kernels.empty()) kernels.push_back(read_installed_kernel(running_release()));
  check_output(options);
  usable_cache(options.cache);
  fs::path source = source_folder(options, progress);

  Job job;
  if (!options.prebuild) job = read_job(options, source);
  CreateResult result;
  result.id = job.id;
  result.description = job.description;
  Package package;
  for (const KernelConfig& kernel : kernels) {
    const fs::path& own = kernels.size() > 1 && !kernel.source.empty() ? kernel.source : source;
    try {
      run_kernel(options, job, kernel, own, package, result, progress);
    } catch (const Refused& refused) {
      if (!options.partial_fleet || kernels.size() == 1) throw;
      result.left_out.push_back(fmt::format("{}: {}", kernel.release, refused.what()));
      progress.note(fmt::format("{} is left out: {}", kernel.release, refused.what()));
    }
  }
  if (options.prebuild) {
    progress.end();
    return result;
  }
  if (package.kernels.empty())
    throw Error("no_kernel", "every kernel refused the update", "see the notes above");

  progress.stage("write the tarball");
  package.id = job.id;
  package.description = job.description;
  package.allow_busy = options.allow_busy;
  package.notes = result.notes;
  package.created = now_text();
  package.tool = "ksplice-create 1.0.0";
  package.files["patch"].assign(job.text.begin(), job.text.end());
  result.tarball = write_package(package, options.output.string());
  result.tarball_size = fs::file_size(result.tarball);
  progress.end();
  return result;
}

}  // namespace ksplice
