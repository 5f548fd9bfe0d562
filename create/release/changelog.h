// What a Debian changelog says of the versions between two.
//
// It has a line for each upstream fix: its subject, and the CVE ids that were given for it. It does
// not name files, so which of the files a line is about can be guessed only: by a function that it
// names, or by the subsystem in front of its subject. Nothing is decided by that.
#pragma once

#include <string>
#include <vector>

#include "create/release/files.h"

namespace ksplice {

struct ChangelogEntry {
  std::string version;  // that has it first
  std::string subject;  // in one line, without CVE ids
  std::vector<std::string> cves;
};

// The entries of the versions in text after old_version and up to new_version; all later ones if
// new_version is empty. Throws Error("bad_file") if the text has no such versions.
std::vector<ChangelogEntry> read_changelog(const std::string& text, const std::string& old_version,
                                           const std::string& new_version);

// Whether the entry may be about the file.
bool may_be_about(const ChangelogEntry& entry, const ReleaseFile& file);

// "6.1.176-1" of "Linux version 6.1.0-50-cloud-amd64 (...) ... Debian 6.1.176-1 (2026-07-01)"; or
// "".
std::string debian_version_of(const std::string& banner);

}  // namespace ksplice
