#include "apply/boot.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "apply/abort_codes.h"
#include "apply/cves.h"
#include "apply/kernel_updates.h"
#include "apply/store.h"
#include "apply/tool_lock.h"
#include "create/package/manifest.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {

namespace {

namespace fs = std::filesystem;

constexpr const char* OffFile = "/etc/ksplice/off";
constexpr const char* OffWord = "ksplice=off";

BootResult failure(const std::string& id, const Error& error, bool is_refused) {
  return {id, is_refused ? "refused" : "failed", error.code, error.what(), error.hint};
}

BootResult quarantined(const Quarantined& why) {
  return {why.id, "quarantined", "quarantined", why.reason,
          fmt::format("to try it again: ksplice-boot --lift={}", why.id)};
}

// The stored copy, if it is what was applied here.
Package read_wanted(const Host& host, const Wanted& wanted, std::vector<uint8_t>& tarball) {
  if (!wanted.error.empty())
    throw Error("bad_state", wanted.error, "apply the update's tarball again");
  const std::string copy = lasting_copy(host, wanted.id).string();
  Package package = read_package(copy, &tarball);
  if (package.id != wanted.id || sha256(tarball) != wanted.sha256)
    throw Error("bad_tarball", fmt::format("{} is not what was applied on this host", copy),
                "apply the update's tarball again");
  return package;
}

bool is_for(const Package& package, const std::string& build_id) {
  return std::any_of(package.kernels.begin(), package.kernels.end(),
                     [&](const PackageKernel& kernel) { return kernel.build_id == build_id; });
}

BootResult for_other_kernel(const Host& host, const Package& package,
                            const std::optional<std::string>& changelog) {
  if (is_in_kernel(package, changelog))
    return {package.id, "in_kernel", "", "the changelog of this kernel has all that it fixes", ""};
  std::string releases;
  for (const PackageKernel& kernel : package.kernels)
    releases += (releases.empty() ? "" : ", ") + kernel.release;
  return {package.id, "other_kernel", "wrong_kernel",
          fmt::format("it was made for {}, and not for this {} (build id {})", releases,
                      host.release(), host.build_id()),
          "create it for this kernel, or undo it if that is never to run again"};
}

// What can be said without trying; nothing if it is to be tried.
std::optional<BootResult> judge(const Host& host, const BootState& state, const Wanted& wanted,
                                const std::optional<std::string>& changelog, Package& package,
                                std::vector<uint8_t>& tarball) {
  if (const std::optional<Quarantined> why = find_quarantined(state, wanted.id, boot_id(host)))
    return quarantined(*why);
  try {
    package = read_wanted(host, wanted, tarball);
  } catch (const Error& error) {
    return failure(wanted.id, error, false);
  }
  if (!is_for(package, host.build_id())) return for_other_kernel(host, package, changelog);
  return std::nullopt;
}

BootResult try_update(const Host& host, const Wanted& wanted, const LoadOptions& options,
                      const Package& package, const std::vector<uint8_t>& tarball) {
  LoadOptions load = wanted.options;
  load.report = options.report;
  load.partial = true;  // early at boot most modules are still to come
  load.at_boot = true;
  load.allow_busy.insert(load.allow_busy.end(), package.allow_busy.begin(),
                         package.allow_busy.end());
  try {
    const ApplyOutcome outcome = apply_update(host, package, tarball, load);
    const bool is_old = outcome.result == ApplyResult::AlreadyApplied;
    return {wanted.id, is_old ? "already_applied" : "applied", "", "", ""};
  } catch (const Refused& refused) {
    return failure(wanted.id, refused, true);
  } catch (const Error& error) {
    if (error.code == "interrupted") throw;
    return failure(wanted.id, error, false);
  }
}

}  // namespace

void tell_console(const Host& host, const std::string& text) {
  const std::string line = "<3>ksplice: " + text + "\n";  // else it waits for another one
  Fd fd(::open(host.path("/dev/kmsg").c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.get() < 0 || ::write(fd.get(), line.data(), line.size()) < 0)
    fmt::print(stderr, "ksplice: {}\n", text);
}

bool BootResult::is_fine() const {
  return result == "applied" || result == "already_applied" || result == "in_kernel" ||
         result == "other_kernel";
}

std::string switched_off(const Host& host) {
  std::istringstream words(read_text(host.path("/proc/cmdline")));
  for (std::string word; words >> word;)
    if (word == OffWord) return fmt::format("{} on the kernel's command line", OffWord);
  std::error_code ignored;
  return fs::exists(host.path(OffFile), ignored) ? fmt::format("the file {}", OffFile) : "";
}

BootReport bring_back(const Host& host, const LoadOptions& options) {
  if (::geteuid() != 0) throw not_permitted();
  BootReport report;
  {
    ToolLock lock(host);
    try {
      settle(host, report.fresh);
    } catch (const Error& error) {
      // A mark that is still there does what the quarantine would. What it says must be known.
      if (error.code == "bad_state") throw;
      options.report(error.what());
    }
  }
  report.off = switched_off(host);
  if (!report.off.empty()) return report;
  const std::optional<std::string> changelog = kernel_changelog(host);
  for (const Wanted& wanted : list_wanted(host)) {
    const BootState state = read_boot_state(host);
    Package package;
    std::vector<uint8_t> tarball;
    std::optional<BootResult> known = judge(host, state, wanted, changelog, package, tarball);
    report.results.push_back(known ? *known : try_update(host, wanted, options, package, tarball));
  }
  return report;
}

std::vector<BootResult> missing_updates(const Host& host) {
  const BootState state = read_boot_state(host);
  BootState settled = state;
  settle_marks(settled, boot_id(host), 0);
  std::vector<BootResult> missing;
  for (const Quarantined& each : settled.quarantine) missing.push_back(quarantined(each));
  std::optional<std::string> changelog;
  bool has_looked = false;  // it is long, and mostly nothing is missing
  for (const Wanted& wanted : list_wanted(host)) {
    if (is_applied(host, wanted.id)) continue;
    if (!has_looked) changelog = kernel_changelog(host);
    has_looked = true;
    Package package;
    std::vector<uint8_t> tarball;
    std::optional<BootResult> known = judge(host, state, wanted, changelog, package, tarball);
    if (known && known->result == "quarantined") continue;
    missing.push_back(known ? *known
                            : BootResult{wanted.id, "not_applied", "",
                                         "it is wanted on this host, and not applied",
                                         "ksplice-boot, or the next boot, brings it back"});
  }
  return missing;
}

void lift_quarantine(const Host& host, const std::string& id) {
  if (::geteuid() != 0) throw not_permitted();
  ToolLock lock(host);
  BootState state = read_boot_state(host);
  settle_marks(state, boot_id(host), 0);
  if (std::erase_if(state.quarantine, [&](const Quarantined& each) { return each.id == id; }) == 0)
    throw Error("unknown_update", fmt::format("update {} is not in quarantine", id),
                "ksplice-view lists those that are");
  write_boot_state(host, state);
}

nlohmann::ordered_json to_json(const BootResult& result) {
  nlohmann::ordered_json json = {{"id", result.id}, {"result", result.result}};
  if (!result.code.empty()) json["code"] = result.code;
  if (!result.message.empty()) json["message"] = result.message;
  if (!result.hint.empty()) json["hint"] = result.hint;
  return json;
}

std::string to_text(const BootResult& result) {
  std::string text;
  if (result.result == "applied") text = "brought back";
  if (result.result == "already_applied") text = "applied already";
  if (result.result == "in_kernel") text = "not needed";
  if (result.result == "other_kernel") text = "missing";
  if (result.result == "not_applied") text = "missing";
  if (result.result == "quarantined") text = "in quarantine";
  if (result.result == "refused" || result.result == "failed")
    text = fmt::format("{} ({})", result.result, result.code);
  text = fmt::format("{}: {}", result.id, text);
  if (!result.message.empty()) text += ": " + result.message;
  return result.hint.empty() ? text : fmt::format("{} ({})", text, result.hint);
}

}  // namespace ksplice
