#include "create/fleet.h"

#include <fmt/core.h>

#include <algorithm>

namespace ksplice {

namespace {

constexpr const char* PartialHint = "--partial-fleet leaves out kernels that refuse";

Refusal as_refusal(const KernelFailure& failure) {
  Refusal refusal;
  refusal.code = failure.code;
  refusal.message = failure.message;
  refusal.advice = failure.hint;
  return refusal;
}

}  // namespace

std::string kernel_folder(const Package& package, const std::string& release,
                          const std::string& build_id) {
  bool taken = std::any_of(package.kernels.begin(), package.kernels.end(),
                           [&](const PackageKernel& other) { return other.release == release; });
  return "objects/" + release + (taken ? "-" + build_id.substr(0, 8) : "") + "/";
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
  KernelFailure failure{release, error.code, error.what(), error.hint, {}};
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
  if (!refused) throw Error(failures.front().code, text, PartialHint);
  refusals.back().advice += (refusals.back().advice.empty() ? "" : "; ") + std::string(PartialHint);
  throw Refused(refusals);
}

}  // namespace ksplice
