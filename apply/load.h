// Applying and undoing one update: all steps, each undone if a later one fails.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apply/boot_state.h"
#include "apply/host.h"
#include "create/package/package.h"
#include "create/package/signature.h"

namespace ksplice {

struct LoadOptions {
  bool partial = false;                 // skip targets that are not loaded
  bool check = false;                   // everything up to the switch, then take it away again
  unsigned attempts = 0;                // 0: the core's default
  unsigned timeout_ms = 0;              // 0: the core's default
  bool settle = true;                   // redirect by jumps where that can be done
  bool count_calls = false;             // those that a jump redirects, too
  std::string late;                     // what becomes of targets that come later; empty: as it is
  unsigned late_timeout_ms = 0;         // 0: as it is
  std::optional<Probation> probation;   // it is to begin with the change
  bool at_boot = false;                 // brought back: the host is watched afterwards
  std::string only;                     // a target that is being loaded: nothing else is patched
  std::vector<std::string> allow_busy;  // functions
  std::function<void(const std::string&)> report = [](const std::string&) {};
};

// What an update means on this host.
struct Plan {
  const PackageKernel* kernel = nullptr;
  std::vector<const PackageTarget*> targets;  // that are to be patched
  std::vector<std::string> skipped;           // targets that are not loaded
  std::vector<std::string> cold;              // targets that were loaded with the patch in them
};

// A module that is being loaded counts as not loaded, unless it is the only one that is asked for.
// Throws Refused: wrong_kernel, wrong_module, target_not_loaded, needs_update, wrong_update.
Plan make_plan(const Host& host, const Package& package, bool partial,
               const std::string& only = "");

// Modules that the update covers and that were loaded after it was applied, and are not patched.
std::vector<std::string> late_targets(const Host& host, const Package& package);

// Targets that were loaded with the patch in them (whole modules); an undo does not reach these.
std::vector<std::string> patched_targets(const Host& host, const Package& package);

// Writes the whole modules with the patch in them, for this host's kernel, into folder; returns
// their paths. Throws Refused wrong_kernel, and as trust.h says, or Error("no_modules") if the
// package has none.
std::vector<std::string> extract_modules(const Host& host, const Package& package,
                                         const std::string& folder);

// Whether the core of the package is loaded already. A core of another build that nobody uses may
// go (idle); one that is in use is refused: wrong_core.
enum class CoreState { Absent, Same, Idle };
CoreState judge_core(const Host& host, const Package& package, const PackageKernel& kernel);

// Whether this process may change the kernel, and the kernel loads modules that are made here.
// Throws Error: not_permitted, signature_required.
void check_permitted(const Host& host);

struct LoadedModule {
  std::string name;
  std::vector<uint8_t> content;
};

// The finished bytes of the core or of a target's update module for this boot.
LoadedModule finalize_core(const Host& host, const Package& package, const PackageKernel& kernel);
LoadedModule finalize_target(const Host& host, const Package& package, const PackageTarget& target,
                             size_t count);

enum class ApplyResult { Applied, Extended, AlreadyApplied, Checked };
enum class UndoResult {
  Undone,
  Kept,         // undone, and its code and data stay in memory
  CleanedUp,    // it was loaded but not applied
  CopyRemoved,  // only the stored copy was there
};

struct ApplyOutcome {
  ApplyResult result = ApplyResult::Applied;
  std::vector<std::string> targets, skipped, cold;
  std::string copy;              // path of the stored copy, may be empty
  std::string not_at_boot;       // why the next boot will not bring it back; empty: it will
  std::optional<Signer> signer;  // nothing if the host has no trust file
};

// tarball: the bytes of the file that package was read from, for the stored copy. Throws Refused
// with the core's abort code, conflicts and advice, or as trust.h and boot_state.h say; then
// nothing of the update is loaded.
ApplyOutcome apply_update(const Host& host, const Package& package,
                          const std::vector<uint8_t>& tarball, const LoadOptions& options);

struct UndoOutcome {
  UndoResult result = UndoResult::Undone;
  std::vector<std::string> kept;  // what may be in use, a sentence each
};

// Throws Refused, or Error("unknown_update"); Error("failed") if it is reversed, and the next boot
// would bring it back, as its record cannot be removed. A mark of it (boot_state.h) goes when it is
// reversed, and not before.
UndoOutcome undo_update(const Host& host, const std::string& id, const LoadOptions& options);

class ToolLock;
// For who holds the lock already, to judge something that must not change in between.
UndoOutcome undo_update(const Host& host, const ToolLock& lock, const std::string& id,
                        const LoadOptions& options);

// Counts the calls of an update's functions from now on, or no more. Throws as undo_update() does;
// then nothing has changed.
void count_calls(const Host& host, const std::string& id, bool on);

}  // namespace ksplice
