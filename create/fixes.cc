#include "create/fixes.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>

namespace ksplice {

namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool begins_diff(const std::string& line) {
  return line.starts_with("diff ") || line.starts_with("--- ") || line.starts_with("Index: ");
}

std::set<std::string> find_all(const std::string& line, const std::regex& pattern) {
  std::set<std::string> found;
  for (auto it = std::sregex_iterator(line.begin(), line.end(), pattern);
       it != std::sregex_iterator(); ++it)
    found.insert((*it)[1].str());
  return found;
}

// Is the line one that says what the patch fixes, and not one that tells about it.
bool is_claim(const std::string& line) {
  static const std::regex Only(R"(^\s*(CVE-\d{4}-\d{4,7}[\s,;.]*)+$)");
  static const std::regex Field(R"(^\s*([A-Za-z][A-Za-z-]*):\s*(.*)$)");
  static const std::set<std::string> Names = {"subject", "description", "cve",      "cves",
                                              "cve-id",  "bug",         "bugs",     "bugzilla",
                                              "closes",  "resolves",    "security", "addresses"};
  if (std::regex_match(line, Only)) return true;
  std::smatch field;
  if (!std::regex_match(line, field, Field)) return false;
  const std::string name = lower(field[1].str());
  // "Fixes: 0123456789ab ("text")" names the commit that brought the mistake.
  if (name == "fixes") return field[2].str().starts_with("CVE-");
  return Names.contains(name) || name.starts_with("bug-");
}

void read_line(const std::string& line, bool is_subject, std::set<std::string>& claimed,
               std::set<std::string>& seen, std::set<std::string>& commits) {
  static const std::regex Cve(R"(\b(CVE-\d{4}-\d{4,7})(?![0-9-]))");
  static const std::regex Commit(
      R"((?:upstream commit |git\.kernel\.org/linus/|cherry picked from commit )([0-9a-f]{40})(?![0-9a-f]))",
      std::regex::icase);
  static const std::regex CommitUpstream(R"(\bcommit ([0-9a-f]{40}),? upstream\b)",
                                         std::regex::icase);
  const std::set<std::string> cves = find_all(line, Cve);
  seen.insert(cves.begin(), cves.end());
  if (is_subject || is_claim(line)) claimed.insert(cves.begin(), cves.end());
  for (const std::regex& pattern : {Commit, CommitUpstream}) commits.merge(find_all(line, pattern));
}

}  // namespace

Fixes find_fixes(const std::vector<std::string>& texts) {
  std::set<std::string> claimed, seen, commits;
  for (const std::string& text : texts) {
    std::istringstream lines(text);
    bool is_subject = false;
    for (std::string line; std::getline(lines, line) && !begins_diff(line);) {
      // A long subject goes on in lines that begin with a space.
      is_subject = line.starts_with("Subject:") || (is_subject && line.starts_with(" "));
      if (line.size() < 4096) read_line(line, is_subject, claimed, seen, commits);
    }
  }
  Fixes fixes;
  fixes.cves.assign(claimed.begin(), claimed.end());
  std::set_difference(seen.begin(), seen.end(), claimed.begin(), claimed.end(),
                      std::back_inserter(fixes.mentioned));
  for (const std::string& commit : commits) fixes.commits.push_back(lower(commit));
  return fixes;
}

}  // namespace ksplice
