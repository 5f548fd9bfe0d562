// The updates that this host wants after the next boot, too: those that were applied here and not
// undone. The record lies beside the stored copy, /var/lib/ksplice/updates/ID/wanted.json, and goes
// with it:
//
//   {"order": 3, "sha256": of the copy, "settle": true, "count_calls": false,
//    "allow_busy": [functions], "late": "", "late_timeout_ms": 0}
//
// It is written when the update is in place, never before: what is brought back has been applied on
// this host, by these bytes. A copy without a record (of a run that was killed, or below /run) is
// not wanted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apply/host.h"
#include "apply/load.h"

namespace ksplice {

struct Wanted {
  std::string id;
  uint64_t order = 0;  // in which they were applied
  std::string sha256;
  LoadOptions options;  // as it was applied: settle, count_calls, allow_busy, late, late_timeout_ms
  std::string error;    // why the record cannot be used; then only the id is known
};

// In the order in which they were applied; what cannot be read comes last. Throws
// Error("bad_state").
std::vector<Wanted> list_wanted(const Host& host);
bool is_wanted(const Host& host, const std::string& id);

// Notes that the update is applied. One that is noted already keeps its place and its options, but
// for late. Throws Error if it cannot be noted: "failed" if there is no copy below /var/lib,
// "no_space".
void note_wanted(const Host& host, const std::string& id, const std::vector<uint8_t>& tarball,
                 const LoadOptions& options);

// The record while the update is being undone: out of the way before the kernel changes, so that a
// host that goes down with the undo does not bring the update back; put back where it is not
// reversed. Where it cannot be moved the undo goes on, and forget_wanted() says so.
class RecordAside {
 public:
  RecordAside(const Host& host, const std::string& id);
  RecordAside(const RecordAside&) = delete;
  RecordAside& operator=(const RecordAside&) = delete;
  ~RecordAside();
  void keep_aside() { is_aside_ = false; }

 private:
  std::filesystem::path file_, aside_;
  bool is_aside_ = false;
};

// Removes the copy with its record. Returns whether something was there. Throws Error("failed") if
// the record stays, which brings the update back at the next boot.
bool forget_wanted(const Host& host, const std::string& id);

}  // namespace ksplice
