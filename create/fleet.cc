#include "create/fleet.h"

#include <fmt/core.h>

#include <algorithm>

#include "create/cause.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace {

constexpr const char* PartialHint = "--partial-fleet leaves out kernels that refuse";

Refusal as_refusal(const KernelFailure& failure) {
  Refusal refusal;
  refusal.code = failure.code;
  refusal.message = failure.message;
  refusal.advice = failure.hint;
  refusal.origins = failure.origins;
  return refusal;
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

// Why a function is replaced, in a few words: its first reason, and the line of the patch; the
// manifest has all reasons.
std::string why(const std::string& function, const std::string& target,
                const std::deque<ChangedUnit>& units) {
  for (const ChangedUnit& unit : units) {
    if (unit.target != target) continue;
    for (const FunctionDiff& diff : unit.diff.functions) {
      if (diff.name != function || diff.reasons.empty()) continue;
      const Reason& reason = diff.reasons.front();
      // Of code, detail is an instruction; of what was inlined it begins with a name.
      std::string text = reason.kind;
      if (reason.kind == "inlined") text += " " + reason.detail.substr(0, reason.detail.find(':'));
      if (reason.kind != "inlined" && reason.kind != "code" && !reason.detail.empty())
        text += " " + reason.detail;
      auto cause = unit.causes.find(function);
      std::string source = cause != unit.causes.end() ? cause->second : "";
      if (source.empty()) source = plain_path(reason.source);
      return source.empty() ? text : fmt::format("{} ({})", text, source);
    }
  }
  return "";
}

}  // namespace

std::string kernel_folder(const Package& package, const std::string& release,
                          const std::string& build_id) {
  bool taken = std::any_of(package.kernels.begin(), package.kernels.end(),
                           [&](const PackageKernel& other) { return other.release == release; });
  return "objects/" + release + (taken ? "-" + build_id.substr(0, 8) : "") + "/";
}

KernelPart make_part(const std::vector<TargetUpdate>& targets, const std::deque<ChangedUnit>& units,
                     Images& images, BuiltModules& modules, const std::string& release,
                     const std::string& folder) {
  KernelPart part;
  part.kernel.release = release;
  part.kernel.build_id = images.vmlinux().build_id;
  part.kernel.core_file = folder + "ksplice.ko";
  part.kernel.core_final = folder + "ksplice.final.json";
  part.files[part.kernel.core_file] = read_file(modules.core);
  auto put_text = [&](const std::string& path, const std::string& text) {
    part.files[path].assign(text.begin(), text.end());
  };
  put_text(part.kernel.core_final,
           write_finalization(finalize_core(modules.core_symbols, images.vmlinux())));
  for (const TargetUpdate& target : targets) {
    PackageTarget described = describe_target(target, units, images);
    described.file = folder + target.target + ".ko";
    described.final = folder + target.target + ".final.json";
    part.files[described.file] = read_file(modules.updates[target.target]);
    put_text(described.final, write_finalization(target.update.finalization));
    TargetSummary summary{target.target, target.update.replaced, {}, target.update.added};
    for (const std::string& function : summary.replaced)
      summary.why.push_back(why(function, target.target, units));
    part.summary.targets.push_back(std::move(summary));
    part.kernel.targets.push_back(std::move(described));
  }
  part.summary.release = release;
  part.warnings = modules.warnings;
  return part;
}

void add_part(KernelPart part, Package& package) {
  for (const PackageKernel& other : package.kernels)
    if (other.build_id == part.kernel.build_id)
      throw Error(
          "bad_config",
          fmt::format("two configuration directories are of the same kernel: {} and {} have "
                      "the build id {}",
                      other.release, part.kernel.release, other.build_id),
          "give each kernel once");
  package.files.merge(part.files);
  package.kernels.push_back(std::move(part.kernel));
}

void add_new(std::vector<std::string>& list, const std::vector<std::string>& more) {
  for (const std::string& word : more)
    if (std::find(list.begin(), list.end(), word) == list.end()) list.push_back(word);
}

bool is_of_kernel(const Error& error) {
  for (const char* code : {"interrupted", "internal", "failed", "usage", "bad_cache"})
    if (error.code == code) return false;
  return true;
}

KernelFailure failure_of(const std::string& release, const Error& error) {
  KernelFailure failure{release, error.code, error.what(), error.hint, {}, error.origins};
  if (const Refused* refused = dynamic_cast<const Refused*>(&error))
    failure.refusals = refused->refusals;
  return failure;
}

void throw_failures(const std::vector<KernelFailure>& failures) {
  std::vector<Refusal> refusals;
  bool refused = false;
  std::string text;
  for (const KernelFailure& failure : failures) {
    refused = refused || !failure.refusals.empty();
    text +=
        fmt::format("{}kernel {}: {}", text.empty() ? "" : "\n", failure.release, failure.message);
    std::vector<Refusal> own = failure.refusals;
    if (own.empty()) own.push_back(as_refusal(failure));
    for (Refusal& refusal : own) {
      refusal.message = fmt::format("kernel {}: {}", failure.release, refusal.message);
      refusals.push_back(std::move(refusal));
    }
  }
  if (!refused) {
    Error error(failures.front().code, text, PartialHint);
    for (const KernelFailure& failure : failures)
      error.origins.insert(error.origins.end(), failure.origins.begin(), failure.origins.end());
    throw error;
  }
  refusals.back().advice += (refusals.back().advice.empty() ? "" : "; ") + std::string(PartialHint);
  throw Refused(refusals);
}

}  // namespace ksplice
