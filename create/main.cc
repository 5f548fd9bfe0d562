#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "create/approval.h"
#include "create/config_dir.h"
#include "create/create.h"
#include "create/options.h"
#include "create/overlay.h"
#include "create/progress.h"
#include "create/release/release.h"
#include "create/root.h"
#include "objdiff/base/file.h"
#include "objdiff/base/tool.h"

namespace ksplice {

namespace {

nlohmann::ordered_json left_out_to_json(const CreateResult& result) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const KernelFailure& failure : result.left_out)
    list.push_back(
        {{"kernel", failure.release}, {"code", failure.code}, {"message", failure.message}});
  return list;
}

nlohmann::ordered_json left_out_patches_to_json(const CreateResult& result) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const PackageLeftOut& left : result.left_out_patches)
    list.push_back({{"patch", left.patch}, {"code", left.code}, {"why", left.why}});
  return list;
}

void print_json(const CreateResult& result, double seconds) {
  std::vector<std::string> releases, units, changed, replaced, added;
  for (const KernelSummary& kernel : result.kernels) {
    releases.push_back(kernel.release);
    add_new(units, kernel.units);
    add_new(changed, kernel.changed);
    for (const TargetSummary& target : kernel.targets) {
      add_new(replaced, target.replaced);
      add_new(added, target.added);
    }
  }
  nlohmann::ordered_json json = {{"id", result.id},
                                 {"description", result.description},
                                 {"tarball", result.tarball},
                                 {"size", result.tarball_size},
                                 {"debug_tarball", result.debug_tarball},
                                 {"debug_size", result.debug_size},
                                 {"kernels", releases},
                                 {"left_out", left_out_to_json(result)},
                                 {"left_out_patches", left_out_patches_to_json(result)},
                                 {"units", units},
                                 {"changed", changed},
                                 {"replaced", replaced},
                                 {"added", added},
                                 {"stands_on", result.stands_on},
                                 {"kept", result.kept},
                                 {"warnings", result.warnings},
                                 {"notes", result.notes},
                                 {"seconds", seconds}};
  constexpr auto Replace = nlohmann::ordered_json::error_handler_t::replace;
  fmt::print("{}\n", json.dump(2, ' ', false, Replace));
}

std::string size_text(uint64_t bytes) {
  if (bytes < 10240) return fmt::format("{} bytes", bytes);
  return bytes < (10u << 20) ? fmt::format("{} KiB", bytes >> 10)
                             : fmt::format("{} MiB", bytes >> 20);
}

void print_kernel(const KernelSummary& kernel, Progress& progress) {
  size_t limit = progress.verbose() > 0 ? 1000 : 8;
  bool alone = kernel.units.size() == 1;
  progress.summary("compiled", counted(kernel.units.size(), "unit") + " before and after" +
                                   (alone ? ": " + kernel.units.front() : ""));
  if (!alone)
    progress.summary("changed", fmt::format("{} of them: {}", kernel.changed.size(),
                                            listed(kernel.changed, limit)));
  for (const TargetSummary& target : kernel.targets) {
    progress.summary("replaces",
                     fmt::format("{} of {}: {}", counted(target.replaced.size(), "function"),
                                 target.name, listed(target.replaced, limit)));
    for (size_t i = 0; i < std::min(limit, target.replaced.size()); ++i)
      if (!target.why[i].empty())
        progress.summary("because", fmt::format("{}: {}", target.replaced[i], target.why[i]));
    if (!target.added.empty())
      progress.summary("adds", fmt::format("to {}: {}", target.name, listed(target.added, limit)));
  }
}

void print_summary(const CreateResult& result, Progress& progress) {
  for (const std::string& warning : result.warnings) progress.detail("kbuild: " + warning);
  for (const KernelSummary& kernel : result.kernels) {
    if (result.kernels.size() > 1) progress.summary("kernel", kernel.release);
    print_kernel(kernel, progress);
  }
  for (const KernelFailure& failure : result.left_out)
    progress.summary("left out", fmt::format("kernel {}: {}", failure.release, failure.code));
  for (const PackageLeftOut& left : result.left_out_patches)
    progress.summary("left out", fmt::format("patch {}: {}", left.patch, left.code));
  if (!result.stands_on.empty()) progress.summary("stands on", listed(result.stands_on, 1000));
  progress.summary(
      "tarball", fmt::format("{} in {:.1f} s", size_text(result.tarball_size), progress.seconds()));
  if (!result.debug_tarball.empty())
    progress.summary("debug info",
                     fmt::format("{}: {}", size_text(result.debug_size), result.debug_tarball));
  if (!progress.quiet()) fmt::print("Ksplice update tarball written to {}\n", result.tarball);
}

// The root directory of a release, or of the kernels' own releases, named where they are.
int run_make_root(const Options& options) {
  Progress progress(options.quiet, options.verbose);
  std::vector<KernelConfig> kernels;
  for (const auto& dir : options.configs) kernels.push_back(read_config_dir(dir, Root::Ignored));
  if (kernels.empty() && options.make_root.empty())
    kernels.push_back(read_installed_kernel(running_release()));
  std::vector<std::string> made;
  auto make = [&](const std::string& release) {
    std::filesystem::path root = make_root(usable_cache(options.cache), release, progress);
    add_new(made, {root.string()});
    return root;
  };
  for (const KernelConfig& kernel : kernels) {
    std::string release =
        options.make_root.empty() ? debian_of_compiler(kernel.config_text) : options.make_root;
    if (release.empty())
      throw Error("usage",
                  fmt::format("{} does not say by which Debian's compiler it was built",
                              kernel.config.string()),
                  "name the release: --make-root=13");
    std::filesystem::path root = make(release);
    if (!kernel.installed) name_root(kernel.name, root);
  }
  if (kernels.empty()) make(options.make_root);
  if (options.json) fmt::print("{}\n", nlohmann::json{{"roots", made}}.dump(2));
  for (const std::string& root : options.json ? std::vector<std::string>() : made)
    fmt::print("Root directory {} made\n", root);
  return ExitDone;
}

int run_report(const Options& options) {
  write_file(options.report, approval_html(read_package(options.source.string())));
  if (options.json)
    fmt::print("{}\n", nlohmann::json{{"report", options.report.string()}}.dump(2));
  else if (!options.quiet)
    fmt::print("Report written to {}\n", options.report.string());
  return ExitDone;
}

int run_release(const Options& options, Progress& progress) {
  const ReleaseReport report = make_release(options, progress);
  if (options.json) {
    constexpr auto Replace = nlohmann::ordered_json::error_handler_t::replace;
    fmt::print("{}\n", report_to_json(report).dump(2, ' ', false, Replace));
    return ExitDone;
  }
  for (Verdict verdict :
       {Verdict::Live, Verdict::Decision, Verdict::Reboot, Verdict::NoCode, Verdict::NotHere})
    progress.summary(counted(report.count(verdict), "part"), verdict_text(verdict));
  progress.summary("report", report_path(options, report, ".txt").string() + ", .html and .json");
  if (options.quiet) return ExitDone;
  if (report.updates.empty()) fmt::print("No part can be live\n");
  for (const ReleaseUpdate& update : report.updates)
    if (update.tarball.empty())
      fmt::print("Update {} was not made: {}\n", update.id, update.failure);
    else
      fmt::print("Ksplice update tarball written to {}\n", update.tarball);
  return ExitDone;
}

int run(const Options& options) {
  if (!options.report.empty()) return run_report(options);
  if (options.makes_root) return run_make_root(options);
  if (!options.init_config.empty()) {
    std::string release = options.kernel.empty() ? running_release() : options.kernel;
    make_config_dir(options.init_config, release, options.from);
    if (options.json)
      fmt::print("{}\n", nlohmann::json{{"config", options.init_config}}.dump(2));
    else
      fmt::print("Configuration directory {} made\n", options.init_config.string());
    return ExitDone;
  }
  Progress progress(options.quiet, options.verbose);
  if (is_release(options)) return run_release(options, progress);
  CreateResult result = create_update(options, progress);
  if (options.json)
    print_json(result, progress.seconds());
  else if (!options.prebuild)
    print_summary(result, progress);
  return ExitDone;
}

}  // namespace

}  // namespace ksplice

int main(int argc, char** argv) {
  ksplice::Options options;
  return ksplice::run_tool(
      "ksplice-create",
      [&]() -> int {
        std::string help_text;
        ksplice::read_options(argc, argv, options, help_text);
        if (!help_text.empty()) {
          fmt::print("{}", help_text);
          return ksplice::ExitDone;
        }
        return ksplice::run(options);
      },
      &options.json, &options.raw_errors);
}
