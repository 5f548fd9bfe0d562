// Probation: an update is applied, and undone by itself when the host is not well with it.
//
// Who watches is not the process that applies, whose terminal may go, but ksplice-boot --watch: a
// unit of systemd where that runs (ksplice-probation-ID, so that it is in nobody's session), or a
// daemon. It finds all that it needs in the mark of the update (boot_state.h), which is written
// before anything changes; so a host that goes down during the probation has the update in
// quarantine when it comes back.
//
// When a warning, an oops, a lockup or a stall of the kernel comes (trouble.h), or the health
// command fails, the update is put into quarantine first, and undone then; but not after a lockup
// or a stall: an undo stops all processors, and would wait for one that does not answer. Without
// either until the time is over, the mark is removed: the update is there for good.
#pragma once

#include <functional>
#include <string>

#include "apply/boot_state.h"
#include "apply/host.h"

namespace ksplice {

// Begins it, before the update is applied: what the kernel says from now on counts. The health
// command must succeed now. Throws Error("failed"), Error("unhealthy").
Probation begin_probation(const Host& host, double seconds, const std::string& command);

// Starts the watcher and waits until it watches. If there is none, the update is undone and not in
// quarantine: throws Error("failed").
void start_watcher(const Host& host, const std::string& id);

enum class ProbationEnd {
  Passed,
  Undone,  // and in quarantine
  Stuck,   // in quarantine, and could not be undone, or must not be by itself
  Over,    // somebody else has undone it, or watches it
};

// Watches until the end. Throws Error("unknown_update") if the update is not on probation,
// Error("interrupted") when the host is shut down: it is then not known to be good, and the next
// boot puts it into quarantine.
ProbationEnd watch_probation(const Host& host, const std::string& id,
                             const std::function<void(const std::string&)>& report);

// The mark of an update that is on probation in this boot; and whether its watcher is alive.
std::optional<Mark> find_probation(const BootState& state, const std::string& id,
                                   const std::string& boot);
bool is_watched(const Host& host, const Mark& mark);

}  // namespace ksplice
