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

// In the order in which they were applied; what cannot be read comes last.
std::vector<Wanted> list_wanted(const Host& host);
bool is_wanted(const Host& host, const std::string& id);

// Notes that the update is applied. One that is noted already keeps its place and its options, but
// for late. Throws Error if it cannot be noted: "failed" if there is no copy below /var/lib,
// "no_space".
void note_wanted(const Host& host, const std::string& id, const std::vector<uint8_t>& tarball,
                 const LoadOptions& options);

}  // namespace ksplice
