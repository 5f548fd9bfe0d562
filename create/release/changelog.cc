#include "create/release/changelog.h"

#include <fmt/core.h>

#include <algorithm>
#include <regex>
#include <set>
#include <sstream>

#include "objdiff/base/error.h"

namespace ksplice {

namespace {

// "6.1.187-1" of "linux (6.1.187-1) bookworm-security; urgency=high", or "".
std::string version_of_head(const std::string& line) {
  if (line.empty() || line[0] == ' ') return "";
  const size_t open = line.find(" ("), close = line.find(')');
  return open == line.npos || close == line.npos || close < open
             ? ""
             : line.substr(open + 2, close - open - 2);
}

// "  * text" and "    - text" begin an entry; lines without either go on with it.
bool begins_entry(const std::string& line, std::string& text) {
  const size_t begin = line.find_first_not_of(' ');
  if (begin == line.npos || begin + 2 > line.size()) return false;
  if ((line[begin] != '*' && line[begin] != '-') || line[begin + 1] != ' ') return false;
  text = line.substr(begin + 2);
  return true;
}

// Takes the CVE ids out of the subject.
void take_cves(ChangelogEntry& entry) {
  static const std::regex Cve("CVE-[0-9]{4}-[0-9]{4,}"), Group(" *\\((CVE-[-0-9]+[, ]*)+\\)");
  for (auto it = std::sregex_iterator(entry.subject.begin(), entry.subject.end(), Cve);
       it != std::sregex_iterator(); ++it)
    entry.cves.push_back(it->str());
  entry.subject = std::regex_replace(entry.subject, Group, "");
}

// Same characters for what paths and subjects write in different ways.
std::string folded(std::string text) {
  for (char& c : text)
    c = c == '-' || c == ' ' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> pieces;
  std::istringstream stream(text);
  for (std::string piece; std::getline(stream, piece, separator);) pieces.push_back(piece);
  return pieces;
}

// "[x86] net: io_uring/io-wq: use x" -> net, io_uring, io_wq
std::vector<std::string> subsystems_of(std::string subject) {
  if (subject.starts_with("[")) subject.erase(0, std::min(subject.size(), subject.find(']') + 2));
  std::vector<std::string> names;
  for (size_t colon = subject.find(": "); colon != subject.npos; colon = subject.find(": ")) {
    const std::string name = subject.substr(0, colon);
    if (name.find(' ') != name.npos) break;  // a sentence
    for (const std::string& piece : split(name, '/')) names.push_back(folded(piece));
    subject.erase(0, colon + 2);
  }
  return names;
}

// Functions that a subject names: "tcp_foo()".
std::vector<std::string> functions_of(const std::string& subject) {
  static const std::regex Function("([A-Za-z][A-Za-z0-9]*_[A-Za-z0-9_]+)\\(\\)");
  std::vector<std::string> names;
  for (auto it = std::sregex_iterator(subject.begin(), subject.end(), Function);
       it != std::sregex_iterator(); ++it)
    names.push_back((*it)[1]);
  return names;
}

}  // namespace

std::vector<ChangelogEntry> read_changelog(const std::string& text, const std::string& old_version,
                                           const std::string& new_version) {
  std::vector<ChangelogEntry> entries;
  std::set<std::string> versions;
  std::string version, begun;
  bool wanted = new_version.empty(), goes_on = false;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (const std::string head = version_of_head(line); !head.empty()) {
      version = head;
      versions.insert(head);
      wanted = version != old_version && (wanted || version == new_version);
      if (version == old_version) break;
      goes_on = false;
    } else if (wanted && begins_entry(line, begun)) {
      entries.push_back({version, begun, {}});
      goes_on = true;
    } else if (wanted && goes_on && line.starts_with("  ")) {
      entries.back().subject += " " + line.substr(line.find_first_not_of(' '));
    } else {
      goes_on = false;
    }
  }
  for (const std::string& needed : {old_version, new_version})
    if (!needed.empty() && !versions.contains(needed))
      throw Error("bad_file", fmt::format("the changelog has no version {}", needed),
                  "give that of the newer source's package with --changelog");
  for (ChangelogEntry& entry : entries) take_cves(entry);
  return entries;
}

bool may_be_about(const ChangelogEntry& entry, const ReleaseFile& file) {
  const std::vector<std::string> subsystems = subsystems_of(entry.subject);
  if (subsystems.empty()) return false;
  const std::vector<std::string> places = split(folded(file.path), '/');
  const std::string name = places.back(), stem = name.substr(0, name.rfind('.'));
  if (places.size() > 1 && subsystems.back() == stem) return true;
  const bool is_near = std::any_of(subsystems.begin(), subsystems.end(), [&](const auto& each) {
    return each == stem || std::find(places.begin(), places.end(), each) != places.end();
  });
  if (!is_near) return false;
  const std::vector<std::string> functions = functions_of(entry.subject);
  return std::any_of(functions.begin(), functions.end(), [&](const std::string& function) {
    const size_t at = file.diff.find(function + "(");
    return at != file.diff.npos;
  });
}

std::string debian_version_of(const std::string& banner) {
  std::smatch found;
  return std::regex_search(banner, found, std::regex(" Debian ([^ ]+) \\(")) ? found[1].str() : "";
}

}  // namespace ksplice
