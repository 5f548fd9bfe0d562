// What this host has noted of updates that may bring it down: /var/lib/ksplice/boot.json.
//
// A mark is on the disk before an update changes the kernel. It goes when the update is in place
// or could not be applied; of what is brought back at boot, when the host has been healthy for a
// while (ksplice-boot --healthy). So whoever finds a mark of an earlier boot knows that the host
// went down in between: what it names is put into quarantine, and is not applied until somebody
// lifts that (ksplice-boot --lift). A power cut in that time looks the same.
//
// Shutting the host down in order (ksplice-boot --stopping) is no crash: the update is tried once
// more. But a host that never becomes healthy is only ever shut down: the third time in a row
// counts.
//
// The clock is not asked: boots are told apart by /proc/sys/kernel/random/boot_id.
// Whoever writes holds the ToolLock.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apply/host.h"

namespace ksplice {

enum class Phase {
  Applying,   // the update was being applied
  Watched,    // it was brought back at boot, and the host was not healthy for long enough yet
  Probation,  // it was being applied, or was applied, and is not known to be good yet
  Again,      // the host was shut down in order before that, and the update not tried since
};

// Of a host on which an update is on probation (probation.h).
struct Probation {
  double seconds = 0;
  std::string command;  // of the host's health, or empty
  uint64_t after = 0;   // what the kernel has logged before, by number
  uint64_t taint = 0;   // what it was tainted by before
  int watcher = 0;      // process; 0: none yet
  double until = 0;     // seconds since the boot, as the watcher has set it
};

struct Mark {
  std::string id;
  Phase phase = Phase::Applying;
  std::string boot;                    // the boot in which it was set
  int64_t since = 0;                   // by the clock of that day; only for people
  bool is_stopped = false;             // the host was shut down in order
  unsigned stops = 0;                  // how often in a row before that
  std::optional<Probation> probation;  // of that phase
};

struct Quarantined {
  std::string id, reason;
  int64_t since = 0;
};

struct BootState {
  std::vector<Mark> marks;
  std::vector<Quarantined> quarantine;
};

// Throws Error("bad_state") if the file cannot be understood: what it named is then not known.
BootState read_boot_state(const Host& host);

// On the disk when it returns. Nothing to note is no file. Throws Error("no_space", "failed").
void write_boot_state(const Host& host, const BootState& state);

std::string boot_id(const Host& host);

// Puts what marks of earlier boots name into quarantine, except where the host was shut down in
// order. Returns what is new in quarantine.
std::vector<Quarantined> settle_marks(BootState& state, const std::string& boot, int64_t now);

// Why the update must not be applied: it is in quarantine, or named by a mark of an earlier boot.
std::optional<Quarantined> find_quarantined(const BootState& state, const std::string& id,
                                            const std::string& boot);

// Throws Refused("quarantined"), Error("bad_state").
void refuse_quarantined(const Host& host, const std::string& id);

// The mark of one update, while it is being applied.
class TryMark {
 public:
  // Throws like write_boot_state(). With a probation it stays, whatever comes.
  TryMark(const Host& host, const std::string& id, const std::optional<Probation>& probation = {});
  TryMark(const TryMark&) = delete;
  TryMark& operator=(const TryMark&) = delete;
  // If nothing below was called: the update was not applied, and is not named any more.
  ~TryMark();
  // It is applied: for good, or the host is to be watched for a while. One that was watched before
  // goes on to be.
  void clear() { end(std::nullopt); }
  void watch();
  // It is applied, and on probation from now on.
  void keep() { is_open_ = false; }

 private:
  const Host& host_;
  Mark mark_;
  std::optional<Mark> before_;  // as it was found, if the host is watched
  bool is_open_ = true;
  void end(const std::optional<Mark>& left);
};

// settle_marks() on the disk. Throws like the readers and writers above; fresh is right all the
// same.
void settle(const Host& host, std::vector<Quarantined>& fresh);

// The host has been healthy for long enough: what was brought back is not watched any more. What is
// on probation is.
void end_watch(const Host& host);

// The host is being shut down in order.
void note_stop(const Host& host);

// Removes the mark that this boot has set for an update, if there is one; says nothing where that
// fails.
void forget_mark(const Host& host, const std::string& id) noexcept;

const char* word(Phase phase);

}  // namespace ksplice
