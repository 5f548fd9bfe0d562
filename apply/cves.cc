#include "apply/cves.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <map>
#include <memory>
#include <sstream>

#include "apply/kernel_updates.h"
#include "apply/load.h"
#include "apply/store.h"
#include "create/package/package.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/utc.h"

namespace ksplice {

namespace {

namespace fs = std::filesystem;

constexpr size_t MaxChangelog = 64 << 20;
constexpr size_t ShortCommit = 12;  // digits, as git and changelogs shorten them

std::string gunzip(const fs::path& file) {
  std::unique_ptr<gzFile_s, int (*)(gzFile)> from(::gzopen(file.c_str(), "rb"), ::gzclose);
  std::string text;
  char buffer[1 << 16];
  for (int got = 1; from && got > 0 && text.size() < MaxChangelog;)
    if ((got = ::gzread(from.get(), buffer, sizeof buffer)) > 0)
      text.append(buffer, static_cast<size_t>(got));
  return text;
}

std::set<std::string> cves_in(const std::string& text) {
  std::set<std::string> cves;
  for (size_t at = text.find("CVE-"); at != std::string::npos; at = text.find("CVE-", at + 1)) {
    const size_t end = text.find_first_not_of("0123456789-", at + 4);
    std::string cve = text.substr(at, end == std::string::npos ? end : end - at);
    while (!cve.empty() && cve.back() == '-') cve.pop_back();
    if (is_cve(cve)) cves.insert(cve);
  }
  return cves;
}

// Where the entry of that version begins: its head names it, or, where the signed kernel has a
// version of its own, its first line says of which it is.
size_t find_entry(const std::string& changelog, const std::string& version) {
  const std::string own = " (" + version + ") ", of = "Sign kernel from linux " + version + "\n";
  size_t head = 0;
  for (size_t at = 0; at < changelog.size();) {
    const size_t end = std::min(changelog.find('\n', at), changelog.size() - 1);
    const std::string line = changelog.substr(at, end + 1 - at);
    if (line[0] != ' ' && line[0] != '\n') {
      head = at;
      if (line.find(own) != std::string::npos) return head;
    }
    if (line.ends_with(of)) return head;
    at = end + 1;
  }
  return std::string::npos;
}

// Every update that the kernel knows or of which there is a copy.
std::vector<std::string> all_updates(const Host& host) {
  std::vector<std::string> ids = list_updates(host);
  for (const std::string& id : list_copies(host))
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

// Why an update does not fix here what it is for; empty if it does.
std::string shortcoming(const Host& host, const std::string& id, const Package& package) {
  const std::optional<UpdateState> state = read_update(host, id);
  if (!state || state->stage != "applied") return "update " + id + " is not applied";
  const std::vector<std::string> late = late_targets(host, package);
  if (late.empty()) return "";
  return fmt::format("update {} is applied, but not to {}", id, fmt::join(late, ", "));
}

std::string quoted(const std::string& text) {
  std::string result;
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return '"' + result + '"';
}

}  // namespace

std::string kernel_version(const Host& host) {
  std::error_code ignored;
  const fs::path file = host.path("/proc/version");
  const std::string text = fs::exists(file, ignored) ? read_text(file) : "";
  const std::string word = " Debian ";
  const size_t at = text.rfind(word);
  if (at == std::string::npos) return "";
  const size_t begin = at + word.size();
  return text.substr(begin, text.find_first_of(" \n", begin) - begin);
}

std::optional<std::string> kernel_changelog(const Host& host) {
  const std::string version = kernel_version(host);
  if (version.empty()) return std::nullopt;
  const fs::path folder = host.path("/usr/share/doc/linux-image-" + host.release());
  for (const char* name : {"changelog.Debian.gz", "changelog.gz"}) {
    const std::string text = gunzip(folder / name);
    const size_t entry = find_entry(text, version);
    if (entry != std::string::npos) return text.substr(entry);
  }
  return std::nullopt;
}

std::optional<std::set<std::string>> kernel_cves(const Host& host) {
  const std::optional<std::string> changelog = kernel_changelog(host);
  if (!changelog) return std::nullopt;
  return cves_in(*changelog);
}

bool is_in_kernel(const Package& package, const std::optional<std::string>& changelog) {
  if (!changelog) return false;
  const std::set<std::string> fixed = cves_in(*changelog);
  if (!package.cves.empty())
    return std::all_of(package.cves.begin(), package.cves.end(),
                       [&](const std::string& cve) { return fixed.contains(cve); });
  return !package.upstream_commits.empty() &&
         std::all_of(package.upstream_commits.begin(), package.upstream_commits.end(),
                     [&](const std::string& commit) {
                       return commit.size() >= ShortCommit &&
                              changelog->find(commit.substr(0, ShortCommit)) != std::string::npos;
                     });
}

std::vector<CveState> cve_states(const Host& host, const std::vector<std::string>& asked) {
  std::map<std::string, CveState> states;
  for (const std::string& cve : asked) states[cve];
  for (const std::string& id : all_updates(host)) {
    const std::string copy = find_copy(host, id);
    if (copy.empty()) continue;
    const Package package = read_package(copy);
    const std::string why = package.cves.empty() ? "" : shortcoming(host, id, package);
    for (const std::string& cve : package.cves) {
      CveState& state = states[cve];
      if (why.empty())
        state.updates.push_back(id);
      else
        state.why += (state.why.empty() ? "" : "; ") + why;
    }
  }
  const std::optional<std::set<std::string>> kernel = kernel_cves(host);
  std::vector<CveState> result;
  for (auto& [cve, state] : states) {
    state.cve = cve;
    state.state = !state.updates.empty()            ? "fixed_live"
                  : kernel && kernel->contains(cve) ? "fixed_by_kernel"
                  : kernel                          ? "open"
                                                    : "unknown";
    result.push_back(std::move(state));
  }
  return result;
}

nlohmann::ordered_json to_json(const std::vector<CveState>& states) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const CveState& state : states)
    list.push_back({{"cve", state.cve},
                    {"state", state.state},
                    {"updates", state.updates},
                    {"why", state.why}});
  return list;
}

nlohmann::ordered_json to_openvex(const Host& host, const std::vector<CveState>& states,
                                  int64_t now) {
  if (states.empty())
    throw Error("no_cves", "no update here names a CVE, so there is nothing to export",
                "ask for some: --cve=CVE-2024-26642");
  const std::string version = kernel_version(host);
  const std::string product = fmt::format("pkg:deb/debian/linux-image-{}{}?arch=amd64",
                                          host.release(), version.empty() ? "" : "@" + version);
  nlohmann::ordered_json statements = nlohmann::ordered_json::array();
  for (const CveState& state : states) {
    const bool is_fixed = state.state == "fixed_live" || state.state == "fixed_by_kernel";
    std::string notes =
        state.state == "fixed_live" ? fmt::format("fixed in the running kernel by live update {}",
                                                  fmt::join(state.updates, ", "))
        : is_fixed                  ? "fixed in the kernel that runs, by its changelog"
                   : "neither an applied live update nor the kernel's changelog names it";
    if (!state.why.empty()) notes += "; " + state.why;
    // That a kernel is affected is more than is known of one in which nothing names the CVE.
    statements.push_back({{"vulnerability", {{"name", state.cve}}},
                          {"products", {{{"@id", product}}}},
                          {"status", is_fixed ? "fixed" : "under_investigation"},
                          {"status_notes", notes}});
  }
  return {{"@context", "https://openvex.dev/ns/v0.2.0"},
          {"@id", fmt::format("urn:ksplice:vex:{}:{}", host.build_id(), now)},
          {"author", "ksplice-view"},
          {"timestamp", utc_text(now)},
          {"version", 1},
          {"tooling", fmt::format("ksplice {}", KSPLICE_VERSION)},
          {"statements", statements}};
}

std::string to_prometheus(const Host& host, const std::vector<CveState>& states) {
  std::string text =
      "# HELP ksplice_kernel_info The kernel that runs.\n# TYPE ksplice_kernel_info gauge\n";
  text +=
      fmt::format("ksplice_kernel_info{{release={},version={},build_id={}}} 1\n",
                  quoted(host.release()), quoted(kernel_version(host)), quoted(host.build_id()));
  text +=
      "# HELP ksplice_update_applied Whether an update that the kernel knows is applied.\n"
      "# TYPE ksplice_update_applied gauge\n";
  for (const std::string& id : list_updates(host))
    if (const std::optional<UpdateState> state = read_update(host, id))
      text += fmt::format("ksplice_update_applied{{id={},stage={}}} {}\n", quoted(id),
                          quoted(state->stage), state->stage == "applied" ? 1 : 0);
  text +=
      "# HELP ksplice_cve_fixed Whether a CVE is fixed, live or by the kernel itself.\n"
      "# TYPE ksplice_cve_fixed gauge\n";
  for (const CveState& state : states)
    text += fmt::format("ksplice_cve_fixed{{cve={},state={}}} {}\n", quoted(state.cve),
                        quoted(state.state), state.state.starts_with("fixed") ? 1 : 0);
  return text;
}

}  // namespace ksplice
