// What became of each part of a release, for people and programs.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace ksplice {

enum class Verdict {
  Live,      // in the update
  Decision,  // somebody must decide something; options says what
  Reboot,    // refused
  NoCode,    // the compiled code is the same
  NotHere,   // not in this configuration
};

struct PartReport {
  std::string path;               // of the file that the part is of
  std::vector<std::string> with;  // the files that it needs
  Verdict verdict = Verdict::NotHere;
  std::string code, why;                 // of what it is not live for
  std::vector<std::string> options;      // for Decision: with these an update was made
  std::vector<std::string> replaced;     // functions
  std::vector<std::string> changed;      // units whose code differs
  std::vector<std::string> notes;        // what of the same fix may not be live
  std::vector<std::string> cves, fixes;  // that the changelog may mean by it
  size_t units = 0;                      // that may read it
  double seconds = 0;                    // that it took, when it was tried
  std::string update;                    // id of that in which it is, if it is live

  std::vector<std::string> files() const;  // path, and with
};

// What was made of parts that are live by themselves.
struct ReleaseUpdate {
  std::string id;
  std::string tarball;  // empty: there is none
  std::string failure;  // why
};

struct ReleaseReport {
  std::string id, kernel, source, new_source;
  std::string old_version, new_version;  // of Debian; may be empty
  std::vector<std::string> within;       // empty: everything
  std::vector<PartReport> parts;
  size_t outside = 0;  // files that differ and are not in within
  std::vector<ReleaseUpdate>
      updates;  // one, or with split one per subsystem; none if no part is live
  bool split = false;
  std::vector<std::string> cves;  // all in the changelog
  bool has_changelog = false;
  double seconds = 0;
  uint64_t peak_kib = 0;  // of ksplice-create itself

  size_t count(Verdict verdict) const;
  std::vector<std::string> tarballs() const;
};

const char* verdict_text(Verdict verdict);  // "live now"
const char* verdict_word(Verdict verdict);  // "live"

nlohmann::ordered_json part_to_json(const PartReport& part);
// False if text is not one of the part of path, or of another version.
bool part_from_json(const std::string& text, const std::string& path, PartReport& part);

nlohmann::ordered_json report_to_json(const ReleaseReport& report);
std::string report_to_text(const ReleaseReport& report);
std::string report_to_html(const ReleaseReport& report);

}  // namespace ksplice
