#include "apply/preflight.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "apply/load.h"
#include "apply/store.h"
#include "apply/trust.h"
#include "objdiff/base/file.h"
#include "objdiff/base/tool.h"
#include "objdiff/base/utc.h"

namespace ksplice {

namespace {

namespace fs = std::filesystem;

constexpr uint64_t KiB = 1024;

bool is_against(const CheckResult& check) {
  return check.verdict == "failed" || check.verdict == "refused";
}

const PackageKernel* own_kernel(const Host& host, const Package& package) {
  const std::string build_id = host.build_id();
  for (const PackageKernel& kernel : package.kernels)
    if (kernel.build_id == build_id) return &kernel;
  return nullptr;
}

// Bytes that can be written below path, where the folder may have to be made first.
uint64_t free_bytes(fs::path path) {
  std::error_code ignored;
  while (!fs::exists(path, ignored) && path.has_relative_path()) path = path.parent_path();
  struct statvfs st = {};
  return ::statvfs(path.c_str(), &st) == 0 && (st.f_flag & ST_RDONLY) == 0
             ? static_cast<uint64_t>(st.f_bavail) * st.f_frsize
             : 0;
}

// "MemAvailable:  123 kB", in bytes.
std::optional<uint64_t> available_memory(const Host& host) {
  std::error_code ignored;
  const fs::path file = host.path("/proc/meminfo");
  if (!fs::exists(file, ignored)) return std::nullopt;
  std::istringstream words(read_text(file));
  for (std::string word; words >> word;)
    if (uint64_t kilobytes = 0; word == "MemAvailable:" && words >> kilobytes)
      return kilobytes * KiB;
  return std::nullopt;
}

std::string text_if_readable(const fs::path& path) {
  try {
    return read_text(path);
  } catch (const Error&) {
    return "";  // debugfs and tracefs need not be mounted
  }
}

// The lines of a file that name one of the functions as a word, or as its beginning with an offset.
std::vector<std::string> lines_naming(const std::string& text, const std::set<std::string>& names,
                                      const std::function<bool(const std::string&)>& counts) {
  std::vector<std::string> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    for (std::string word; words >> word;)
      if (names.contains(word.substr(0, word.find('+'))) && counts(line)) {
        found.push_back(word.substr(0, word.find('+')));
        break;
      }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

CheckResult skipped(const std::string& name, const std::string& why) {
  return {name, "skipped", "", why, "", {}, ""};
}

Finding check_signature(const Host& host, const Package& package) {
  if (const std::optional<Signer> signer = check_trust(host, package, Occasion::Apply))
    return {fmt::format("signed by {}, generation {}, expires {}", signer->name, package.generation,
                        package.expires == 0 ? "never" : utc_text(package.expires))};
  return {fmt::format("this host has no {}: it applies what nobody has signed", TrustFile), true};
}

Finding check_targets(const Host& host, const Package& package, bool partial) {
  const Plan plan = make_plan(host, package, partial);
  std::string message = fmt::format("{} to be patched", plan.targets.size());
  if (!plan.skipped.empty())
    message += fmt::format(", not loaded: {}", fmt::join(plan.skipped, ", "));
  return {message};
}

}  // namespace

CheckResult run_check(const std::string& name, const std::function<Finding()>& check) {
  try {
    const Finding finding = check();
    return {name, finding.is_warning ? "warning" : "ok", "", finding.message, "", {}, ""};
  } catch (const Refused& refused) {
    return {name,         "refused",        refused.code, refused.what(),
            refused.hint, refused.refusals, refused.raw};
  } catch (const Error& error) {
    return {name, "failed", error.code, error.what(), error.hint, {}, ""};
  }
}

Finding check_space(const Host& host, size_t tarball_size) {
  const uint64_t needed = tarball_size + 64 * KiB;
  for (const char* place : {"/var/lib/ksplice", "/run/ksplice"})
    if (free_bytes(host.path(place)) >= needed)
      return {fmt::format("the copy of the tarball goes to {}", place)};
  return {
      fmt::format("no place for the copy of the tarball ({} KiB): neither /var/lib/ksplice nor "
                  "/run/ksplice has room; the source patch could not be shown, and modules that "
                  "come later could not be patched",
                  needed / KiB),
      true};
}

// The loader holds the file and the module at the same time for a while.
Finding check_memory(const Host& host, const Package& package, const PackageKernel& kernel) {
  uint64_t needed = 2 * package.files.at(kernel.core_file).size();
  for (const PackageTarget& target : kernel.targets)
    needed += 2 * package.files.at(target.file).size();
  const std::optional<uint64_t> available = available_memory(host);
  if (!available) return {"the kernel does not say how much memory is available", true};
  const std::string message =
      fmt::format("up to {} KiB are needed, {} KiB are available", needed / KiB, *available / KiB);
  return {message, *available < needed};
}

Finding check_company(const Host& host, const PackageKernel& kernel) {
  std::set<std::string> names;
  for (const PackageTarget& target : kernel.targets)
    for (const PackageFunction& function : target.functions)
      if (function.status == "changed") names.insert(function.name);
  const auto any = [](const std::string&) { return true; };
  // "tcp_v4_rcv (1) R   D  tramp: ..."; D: a BPF program is called directly.
  const auto has_direct_call = [](const std::string& line) {
    const size_t flags = line.find(')'), end = line.find(':');
    return flags != std::string::npos &&
           line.substr(flags, end - flags).find(" D") != std::string::npos;
  };
  const auto is_armed = [](const std::string& line) {
    return line.find("[DISABLED]") == std::string::npos;
  };
  const fs::path debug = host.path("/sys/kernel/debug");
  std::string message;
  auto tell = [&](const std::string& what, const std::vector<std::string>& functions) {
    if (functions.empty()) return;
    message +=
        fmt::format("{}{} {}", message.empty() ? "" : "; ", what, fmt::join(functions, ", "));
  };
  tell("fault injection can end calls of",
       lines_naming(text_if_readable(debug / "fail_function/inject"), names, any));
  tell("kprobes, of which one of BPF can end calls with bpf_override_return(), are at",
       lines_naming(text_if_readable(debug / "kprobes/list"), names, is_armed));
  tell("BPF programs, of which fmod_ret can change what is returned, are at",
       lines_naming(text_if_readable(host.path("/sys/kernel/tracing/enabled_functions")), names,
                    has_direct_call));
  return message.empty() ? Finding{"nothing is seen that could defeat the new code"}
                         : Finding{message, true};
}

std::vector<CheckResult> run_preflight(const Host& host, const Package& package,
                                       size_t tarball_size, bool partial,
                                       const std::function<Finding()>& last) {
  std::vector<CheckResult> checks;
  checks.push_back(run_check("permission", [&]() -> Finding {
    check_permitted(host);
    return {"modules can be loaded"};
  }));
  checks.push_back(run_check("signature", [&] { return check_signature(host, package); }));
  checks.push_back(run_check("targets", [&] { return check_targets(host, package, partial); }));
  const PackageKernel* kernel = own_kernel(host, package);
  if (kernel != nullptr) {
    checks.push_back(run_check("core", [&]() -> Finding {
      return {judge_core(host, package, *kernel) == CoreState::Same
                  ? "the kernel part is loaded already"
                  : "the kernel part comes with the update"};
    }));
    checks.push_back(run_check("memory", [&] { return check_memory(host, package, *kernel); }));
    checks.push_back(run_check("company", [&] { return check_company(host, *kernel); }));
  }
  checks.push_back(run_check("space", [&] { return check_space(host, tarball_size); }));
  if (std::any_of(checks.begin(), checks.end(), is_against))
    checks.push_back(skipped("verification", "another check failed"));
  else
    checks.push_back(run_check("verification", last));
  return checks;
}

ExitCode status_of(const std::vector<CheckResult>& checks) {
  auto first = std::find_if(checks.begin(), checks.end(), is_against);
  if (first == checks.end()) return ExitDone;
  return first->verdict == "refused" ? ExitRefused : ExitFailed;
}

nlohmann::ordered_json to_json(const std::vector<CheckResult>& checks) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const CheckResult& check : checks) {
    list.push_back({{"check", check.name}, {"verdict", check.verdict}, {"message", check.message}});
    if (!is_against(check)) continue;
    list.back()["code"] = check.code;
    list.back()["hint"] = check.hint;
    list.back()["refusals"] = nlohmann::ordered_json::array();
    for (const Refusal& refusal : check.refusals)
      list.back()["refusals"].push_back(nlohmann::ordered_json::parse(refusal_to_json(refusal)));
  }
  return list;
}

void print_checks(const std::vector<CheckResult>& checks, bool raw_errors, bool quiet,
                  bool verbose) {
  auto first = std::find_if(checks.begin(), checks.end(), is_against);
  if (raw_errors && first != checks.end()) fmt::print(stderr, "{}\n{}", first->code, first->raw);
  for (const CheckResult& check : checks) {
    if (verbose && !is_against(check) && check.verdict != "warning")
      fmt::print(stderr, "{}: {}: {}\n", check.name, check.verdict, check.message);
    if (check.verdict == "warning" && !quiet) fmt::print(stderr, "note: {}\n", check.message);
    if (check.verdict == "failed")
      fmt::print(stderr, "ksplice-apply: {}\n{}", check.message,
                 check.hint.empty() ? "" : "hint: " + check.hint + "\n");
    for (const Refusal& refusal : check.refusals)
      fmt::print(stderr, "ksplice-apply: refused: {}", format_refusal(refusal));
  }
}

}  // namespace ksplice
