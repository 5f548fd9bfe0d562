#include "create/release/report.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "create/progress.h"
#include "objdiff/base/html.h"

namespace ksplice {

namespace {

struct VerdictName {
  Verdict verdict;
  const char *text, *word;
};
constexpr VerdictName VerdictNames[] = {
    {Verdict::Live, "live now", "live"},
    {Verdict::Decision, "needs a decision", "decision"},
    {Verdict::Reboot, "needs a reboot", "reboot"},
    {Verdict::NoCode, "changes no code", "no_code"},
    {Verdict::NotHere, "not in this configuration", "not_here"},
};

const VerdictName& name_of(Verdict verdict) {
  return *std::find_if(std::begin(VerdictNames), std::end(VerdictNames),
                       [&](const VerdictName& name) { return name.verdict == verdict; });
}

// What a reader wants to know beside the verdict.
std::string details_of(const PartReport& part) {
  std::vector<std::string> details;
  if (!part.with.empty()) details.push_back("with " + listed(part.with, 1000));
  if (!part.replaced.empty()) details.push_back("replaces " + listed(part.replaced, 1000));
  if (!part.options.empty())
    details.push_back(fmt::format("can be live with {}", fmt::join(part.options, " ")));
  if (!part.code.empty()) details.push_back(fmt::format("{}: {}", part.code, part.why));
  if (part.code.empty() && !part.why.empty()) details.push_back(part.why);
  if (!part.cves.empty()) details.push_back("may be of " + listed(part.cves, 1000));
  details.insert(details.end(), part.notes.begin(), part.notes.end());
  return fmt::format("{}", fmt::join(details, "; "));
}

std::string counts_of(const ReleaseReport& report) {
  std::vector<std::string> counts;
  for (const VerdictName& name : VerdictNames)
    counts.push_back(fmt::format("{} {}", report.count(name.verdict), name.text));
  return fmt::format("{}: {}", counted(report.parts.size(), "part"), fmt::join(counts, ", "));
}

std::string head_of(const ReleaseReport& report) {
  const std::string from = report.old_version.empty() ? report.source : report.old_version;
  const std::string to = report.new_version.empty() ? report.new_source : report.new_version;
  return fmt::format("From {} to {}, for kernel {}", from, to, report.kernel);
}

std::string outcome_of(const ReleaseReport& report, const ReleaseUpdate& update) {
  if (!report.split)
    return update.tarball.empty() ? "no update was made: " + update.failure
                                  : "the update with all that is live now is " + update.tarball;
  if (update.tarball.empty())
    return fmt::format("update {} was not made: {}", update.id, update.failure);
  const auto parts =
      std::count_if(report.parts.begin(), report.parts.end(), [&](const PartReport& part) {
        return part.verdict == Verdict::Live && part.update == update.id;
      });
  return fmt::format("update {} has {}: {}", update.id, counted(static_cast<size_t>(parts), "part"),
                     update.tarball);
}

std::vector<std::string> remarks_of(const ReleaseReport& report) {
  std::vector<std::string> remarks = {counts_of(report)};
  if (!report.within.empty())
    remarks.push_back(
        fmt::format("only what is within {}: {} beside these differ and were not tried",
                    fmt::join(report.within, ", "), counted(report.outside, "file")));
  if (report.has_changelog)
    remarks.push_back(
        fmt::format("the changelog has {} from one version to the other; which file an entry is "
                    "about is guessed, and not said of most",
                    counted(report.cves.size(), "CVE id")));
  remarks.push_back(
      "a part is a file with what it needs, not a fix: of a fix with several parts, some may be "
      "live "
      "and others not");
  if (report.updates.empty()) remarks.push_back("no update was made");
  for (const ReleaseUpdate& update : report.updates) remarks.push_back(outcome_of(report, update));
  return remarks;
}

}  // namespace

std::vector<std::string> PartReport::files() const {
  std::vector<std::string> all = {path};
  all.insert(all.end(), with.begin(), with.end());
  return all;
}

size_t ReleaseReport::count(Verdict verdict) const {
  return static_cast<size_t>(std::count_if(
      parts.begin(), parts.end(), [&](const PartReport& part) { return part.verdict == verdict; }));
}

std::vector<std::string> ReleaseReport::tarballs() const {
  std::vector<std::string> made;
  for (const ReleaseUpdate& update : updates)
    if (!update.tarball.empty()) made.push_back(update.tarball);
  return made;
}

const char* verdict_text(Verdict verdict) { return name_of(verdict).text; }
const char* verdict_word(Verdict verdict) { return name_of(verdict).word; }

nlohmann::ordered_json part_to_json(const PartReport& part) {
  return {{"path", part.path},
          {"with", part.with},
          {"verdict", verdict_word(part.verdict)},
          {"code", part.code},
          {"why", part.why},
          {"options", part.options},
          {"replaced", part.replaced},
          {"changed", part.changed},
          {"notes", part.notes},
          {"cves", part.cves},
          {"fixes", part.fixes},
          {"units", part.units},
          {"seconds", part.seconds},
          {"update", part.update}};
}

bool part_from_json(const std::string& text, const std::string& path, PartReport& part) {
  try {
    const nlohmann::json data = nlohmann::json::parse(text);
    if (data.at("path") != path) return false;
    const std::string word = data.at("verdict");
    const auto name = std::find_if(std::begin(VerdictNames), std::end(VerdictNames),
                                   [&](const VerdictName& each) { return each.word == word; });
    if (name == std::end(VerdictNames)) return false;
    part = {path,
            data.at("with"),
            name->verdict,
            data.at("code"),
            data.at("why"),
            data.at("options"),
            data.at("replaced"),
            data.at("changed"),
            data.at("notes"),
            data.at("cves"),
            data.at("fixes"),
            data.at("units"),
            data.at("seconds"),
            data.at("update")};
    return true;
  } catch (const nlohmann::json::exception&) {  // cut off by a power cut
    return false;
  }
}

nlohmann::ordered_json report_to_json(const ReleaseReport& report) {
  nlohmann::ordered_json counts, parts = nlohmann::ordered_json::array(), updates = parts;
  for (const ReleaseUpdate& update : report.updates)
    updates.push_back(
        {{"id", update.id}, {"tarball", update.tarball}, {"failure", update.failure}});
  for (const VerdictName& name : VerdictNames) counts[name.word] = report.count(name.verdict);
  for (const PartReport& part : report.parts) parts.push_back(part_to_json(part));
  return {{"id", report.id},
          {"kernel", report.kernel},
          {"source", report.source},
          {"new_source", report.new_source},
          {"old_version", report.old_version},
          {"new_version", report.new_version},
          {"within", report.within},
          {"outside", report.outside},
          {"tarball", report.split || report.tarballs().empty() ? "" : report.tarballs().front()},
          {"updates", updates},
          {"counts", counts},
          {"cves", report.cves},
          {"parts", parts},
          {"seconds", report.seconds},
          {"peak_kib", report.peak_kib}};
}

std::string report_to_text(const ReleaseReport& report) {
  std::string text = head_of(report) + "\n";
  for (const std::string& remark : remarks_of(report)) text += remark + "\n";
  for (const VerdictName& name : VerdictNames) {
    if (report.count(name.verdict) == 0) continue;
    text += fmt::format("\n{}:\n", name.text);
    for (const PartReport& part : report.parts) {
      if (part.verdict != name.verdict) continue;
      const std::string details = details_of(part);
      text += fmt::format("  {}{}\n", part.path, details.empty() ? "" : ": " + details);
    }
  }
  return text;
}

std::string report_to_html(const ReleaseReport& report) {
  std::string text =
      html_head(head_of(report),
                "body{font-family:sans-serif}table{border-collapse:collapse}"
                "td,th{border:1px solid #999;padding:2px 6px;text-align:left;vertical-align:top}"
                ".live{background:#dfd}.decision{background:#ffd}.reboot{background:#fdd}");
  for (const std::string& remark : remarks_of(report))
    text += fmt::format("<p>{}</p>\n", escaped(remark));
  text += "<table>\n<tr><th>file</th><th>verdict</th><th>details</th></tr>\n";
  for (const VerdictName& name : VerdictNames)
    for (const PartReport& part : report.parts)
      if (part.verdict == name.verdict)
        text += fmt::format("<tr class=\"{}\"><td>{}</td><td>{}</td><td>{}</td></tr>\n", name.word,
                            escaped(part.path), name.text, escaped(details_of(part)));
  return text + "</table>\n</body></html>\n";
}

}  // namespace ksplice
