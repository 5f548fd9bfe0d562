// The order of things when an update is applied:
//
//   1. everything that can be judged without the core: the kernel's and modules' identity, what an
//      earlier run left, all modules finished in memory, but those that use others of this update,
//      which are finished in 3, when these have their places; nothing has changed so far;
//   2. the copy of the tarball, so that a crash later leaves at most a copy too many;
//   3. load the core and the update modules: still nothing is redirected;
//   4. one write to the stage file: the core verifies, waits and switches, or says why not.
//
// Whatever fails after 2 unloads what was loaded. A tool that is killed leaves either loaded
// modules of stage "preparing", which the next run takes away, or an applied update. Signals during
// 3 and 4 only set a flag (objdiff/base/process.h); the core ends its waiting early and the step
// fails like any other.
#include "apply/load.h"

#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <sstream>

#include "apply/abort_codes.h"
#include "apply/boot_state.h"
#include "apply/earlier.h"
#include "apply/kernel_updates.h"
#include "apply/late.h"
#include "apply/modules.h"
#include "apply/store.h"
#include "apply/tool_lock.h"
#include "apply/trust.h"
#include "apply/wanted.h"
#include "objdiff/base/error.h"
#include "objdiff/base/process.h"
#include "objdiff/update/finalize.h"

namespace ksplice {

namespace {

// Keeps signals that run_tool does not turn into its flag from stopping or ending us half way.
class SignalGuard {
 public:
  SignalGuard() {
    sigset_t blocked;
    ::sigemptyset(&blocked);
    for (int number : {SIGQUIT, SIGTSTP, SIGTTOU, SIGTTIN, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2})
      ::sigaddset(&blocked, number);
    ::sigprocmask(SIG_BLOCK, &blocked, &before_);
  }
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;
  ~SignalGuard() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

// A module may be held for a moment by somebody who reads its files in sysfs.
bool unload_patiently(const std::string& name) {
  for (int i = 0; i < 50; ++i) {
    if (unload_module(name)) return true;
    ::usleep(20'000);
  }
  return false;
}

// The core goes when no update module needs it any more; otherwise it stays, which is no error.
void unload_idle_core(const Host& host, const std::function<void(const std::string&)>& report) {
  if (!host.is_module_loaded(CoreModule) || !host.module_users(CoreModule).empty()) return;
  if (unload_patiently(CoreModule)) report("unloaded the core");
}

// What this run has loaded, taken away again unless the update is in place.
class Loading {
 public:
  Loading(const Host& host, const LoadOptions& options) : host_(host), options_(options) {}
  Loading(const Loading&) = delete;
  Loading& operator=(const Loading&) = delete;
  ~Loading() {
    if (is_kept_) return;
    for (auto name = names_.rbegin(); name != names_.rend(); ++name) take_away(*name);
    try {
      unload_idle_core(host_, options_.report);
    } catch (const Error& error) {
      options_.report(error.what());
    }
  }
  void load(const LoadedModule& module) {
    load_module(host_, module.name, module.content);
    options_.report(fmt::format("loaded module {} ({} bytes)", module.name, module.content.size()));
    if (module.name != CoreModule) names_.push_back(module.name);
  }
  void keep() { is_kept_ = true; }

 private:
  void take_away(const std::string& name) {
    try {
      options_.report(unload_patiently(name) ? fmt::format("unloaded module {}", name)
                                             : fmt::format("module {} is in use and stays", name));
    } catch (const Error& error) {
      options_.report(error.what());  // the first failure is the one to tell
    }
  }
  const Host& host_;
  const LoadOptions& options_;
  std::vector<std::string> names_;
  bool is_kept_ = false;
};

struct BusyTask {
  std::string name, pid, function;
};

// The lines "task NAME pid PID is in FUNCTION" of the core.
std::vector<BusyTask> parse_busy(const std::string& conflicts) {
  std::vector<BusyTask> tasks;
  std::istringstream lines(conflicts);
  for (std::string line; std::getline(lines, line);) {
    size_t pid = line.rfind(" pid "), is_in = line.rfind(" is in ");
    if (line.rfind("task ", 0) != 0 || pid == std::string::npos || is_in == std::string::npos ||
        is_in < pid)
      continue;
    tasks.push_back(
        {line.substr(5, pid - 5), line.substr(pid + 5, is_in - pid - 5), line.substr(is_in + 7)});
  }
  return tasks;
}

// As the original printed them.
std::string raw_conflicts(const std::vector<BusyTask>& tasks) {
  std::string raw;
  for (const BusyTask& task : tasks)
    raw += fmt::format("{} {} {}\n", task.name, task.pid, task.function);
  return raw;
}

// The way out for a task that never leaves the function, with the words to type.
std::string advise_busy(const std::vector<BusyTask>& tasks) {
  std::set<std::string> functions;
  for (const BusyTask& task : tasks) functions.insert(task.function);
  std::string advice = explain_abort("code_busy", Action::Apply).advice;
  if (functions.empty()) return advice;
  advice +=
      "; or, if old and new code may run side by side, let these tasks go on in the old code until "
      "they return:";
  for (const std::string& function : functions) advice += " --allow-busy=" + function;
  return advice;
}

[[noreturn]] void throw_abort(const std::string& id, const UpdateState& state, int error,
                              Action action) {
  std::string code = state.abort_cause;
  if (code.empty() || code == "ok") {
    if (error == EINTR) code = "interrupted";
    if (error == ENOMEM) code = "out_of_memory";
    if (code.empty()) code = "unexpected";
  }
  AbortCode abort = explain_abort(code, action);
  std::vector<BusyTask> busy = parse_busy(state.conflicts);
  if (code == "code_busy" && action == Action::Apply) abort.advice = advise_busy(busy);
  std::string message = abort.message;
  if (!state.message.empty()) message += ": " + state.message;
  if (code == "ok" || code == "unexpected")
    message += fmt::format(" (the kernel said: {})", std::strerror(error));
  if (!abort.is_verdict && state.conflicts.empty()) throw Error(code, message, abort.advice);
  Refusal refusal;
  refusal.code = code;
  refusal.object = id;
  refusal.message = message;
  refusal.found = state.conflicts;
  refusal.advice = abort.advice;
  Refused refused({refusal});
  refused.raw = raw_conflicts(busy);
  throw refused;
}

void write_setting(const Host& host, const std::string& id, const std::string& file,
                   const std::string& text) {
  int error = write_update(host, id, file, text);
  if (error != 0)
    throw Error("failed", fmt::format("the core does not take {} \"{}\": {}", file, text,
                                      std::strerror(error)));
}

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

void write_settings(const Host& host, const std::string& id, const LoadOptions& options) {
  if (options.attempts != 0) write_setting(host, id, "attempts", std::to_string(options.attempts));
  if (options.timeout_ms != 0)
    write_setting(host, id, "timeout_ms", std::to_string(options.timeout_ms));
  write_setting(host, id, "settle", options.settle ? "1" : "0");
  if (options.count_calls) write_setting(host, id, "count_calls", "1");
  if (!options.allow_busy.empty()) write_setting(host, id, "allow_busy", join(options.allow_busy));
}

// When the writer itself is in code that is to be replaced (an update of vfs_write), the core goes
// on after the write has returned, and says so in the file "working".
std::optional<UpdateState> read_finished(const Host& host, const std::string& id) {
  for (;;) {
    std::optional<UpdateState> state = read_update(host, id);
    if (!state) return state;
    auto working = state->values.find("working");
    if (working == state->values.end() || working->second != "1") return state;
    ::usleep(20'000);
  }
}

// The core goes by the id in the update modules, the tools by that in the tarball's description.
void check_registered(const Host& host, const std::string& id) {
  if (read_update(host, id)) return;
  throw Error("bad_tarball",
              fmt::format("its update modules are loaded, but are not those of an update {}", id),
              "create the update again, or get the tarball again from where it came from");
}

// Writes the stage and judges the result by the state that the kernel shows afterwards.
void change_stage(const Host& host, const std::string& id, const std::string& word, Action action) {
  int error = write_update(host, id, "stage", word);
  std::optional<UpdateState> state = read_finished(host, id);
  if (!state)
    throw Error("unexpected", fmt::format("the kernel lost update {} while it was at work", id),
                explain_abort("unexpected", action).advice);
  if (word == "check" ? error == 0 : state->stage == word) return;
  state->conflicts = name_livepatches(host, state->conflicts);
  throw_abort(id, *state, error, action);
}

void unload_modules(const Host& host, const UpdateState& state,
                    const std::function<void(const std::string&)>& report) {
  for (auto target = state.targets.rbegin(); target != state.targets.rend(); ++target) {
    const std::string& name = target->module;
    if (target->is_kept()) continue;
    if (!unload_patiently(name)) {
      std::string users = join(host.module_users(name));
      Refusal refusal;
      refusal.code = "module_busy";
      refusal.object = name;
      refusal.message = "the update is not applied, but its module is in use";
      refusal.found = users.empty() ? "" : "used by " + users;
      refusal.advice = "unload what uses it, and run ksplice-undo " + state.id + " again";
      throw Refused({refusal});
    }
    report(fmt::format("unloaded module {}", name));
  }
}

// What an applied update has for targets that were gone again before it was loaded, or that have
// gone since, or what an interrupted run has left: it is for places where the target is no more,
// and the core would try to apply it with the others.
void unload_pending(const UpdateState& state,
                    const std::function<void(const std::string&)>& report) {
  for (const TargetState& target : state.targets)
    if (target.state == "pending" && unload_patiently(target.module))
      report(fmt::format("unloaded module {}", target.module));
}

// Without a mark nothing is brought back at boot. Else the update is only not noted as wanted, so
// that it cannot bring the host down a second time.
void set_mark(std::optional<TryMark>& mark, const Host& host, const std::string& id,
              const LoadOptions& options, ApplyOutcome& outcome) {
  try {
    mark.emplace(host, id, options.probation);
  } catch (const Error& error) {
    if (options.at_boot || options.probation) throw;
    outcome.not_at_boot = error.what();
  }
}

void note_for_boot(const Host& host, const std::string& id, const std::vector<uint8_t>& tarball,
                   const LoadOptions& options, ApplyOutcome& outcome) {
  if (options.at_boot || !outcome.not_at_boot.empty()) return;
  try {
    note_wanted(host, id, tarball, options);
  } catch (const Error& error) {
    outcome.not_at_boot = error.what();
  }
}

// The update is in place, which a disk that is full does not change: the mark that then stays names
// it for longer than it need be.
void release_mark(std::optional<TryMark>& mark, const LoadOptions& options) {
  if (!mark) return;
  if (options.probation) {
    mark->keep();
    return;
  }
  try {
    options.at_boot ? mark->watch() : mark->clear();
  } catch (const Error& error) {
    options.report(error.what());
  }
}

}  // namespace

void check_permitted(const Host& host) {
  if (::geteuid() != 0) throw not_permitted();
  std::string obstacle = host.loading_obstacle();
  if (!obstacle.empty())
    throw Error(
        "signature_required", obstacle,
        "modules that are finished on this host cannot be signed; boot with Secure Boot and "
        "module.sig_enforce off");
}

ApplyOutcome apply_update(const Host& host, const Package& package,
                          const std::vector<uint8_t>& tarball, const LoadOptions& options) {
  check_permitted(host);
  ToolLock lock(host);
  ApplyOutcome outcome;
  outcome.signer = check_trust(host, package,
                               !options.only.empty() ? Occasion::LateTarget
                               : options.at_boot     ? Occasion::Boot
                                                     : Occasion::Apply);
  if (options.only.empty()) refuse_quarantined(host, package.id);
  std::optional<UpdateState> state = read_update(host, package.id);
  bool is_applied = state && state->stage == "applied";
  // The kernel asks for a module of an update that is applied; it may have been undone since.
  if (!options.only.empty() && !is_applied)
    throw Error("unknown_update",
                fmt::format("update {} is not applied any more: nothing is done for {}", package.id,
                            options.only));
  // What was left out once may be left out again; this run is for what was loaded since.
  Plan plan = make_plan(host, package, options.partial || is_applied, options.only);
  options.report(
      fmt::format("kernel {}, build id {}", plan.kernel->release, plan.kernel->build_id));

  outcome.skipped = plan.skipped;
  outcome.cold = plan.cold;
  // For the core these are left out too: nothing of them is redirected.
  std::vector<std::string> left_out = plan.skipped;
  left_out.insert(left_out.end(), plan.cold.begin(), plan.cold.end());
  if (is_applied) {
    check_same_update(host, package);
    unload_pending(*state, options.report);
    check_no_orphans(host, plan, *state);
  } else if (state && state->is_kept()) {
    check_same_kept(host, package, *plan.kernel, *state);
    unload_modules(host, *state, options.report);
  } else if (state) {
    options.report("an earlier run was interrupted; taking away what it loaded");
    unload_modules(host, *state, options.report);
  }

  // With its last module an update is gone from the kernel, and with it what was set for it.
  const bool is_anew = !is_applied || !read_update(host, package.id);

  std::vector<const PackageTarget*> missing;
  for (const PackageTarget* target : plan.targets)
    if (!host.is_module_loaded(target->module) &&
        (options.only.empty() || target->name == options.only))
      missing.push_back(target);
  const bool is_kept = state && state->is_kept();
  if (missing.empty() && !is_kept) {
    outcome.result = ApplyResult::AlreadyApplied;
    outcome.copy = find_copy(host, package.id);
    if (options.check || !is_applied) return outcome;
    write_late(host, options);
    std::string why;
    outcome.copy = store_copy(host, package.id, tarball, why).value_or("");
    if (options.only.empty()) note_for_boot(host, package.id, tarball, options, outcome);
    return outcome;
  }

  std::vector<LoadedModule> modules;
  const CoreState core = judge_core(host, package, *plan.kernel);
  if (core != CoreState::Same) modules.push_back(finalize_core(host, package, *plan.kernel));
  std::vector<const PackageTarget*> users;  // of modules that are loaded first
  for (const PackageTarget* target : missing) {
    outcome.targets.push_back(target->name);
    if (target->uses.empty())
      modules.push_back(finalize_target(host, package, *target, plan.kernel->targets.size()));
    else
      users.push_back(target);
  }
  options.report(fmt::format("finished {} modules for this boot", modules.size()));

  check_interrupted();
  SignalGuard guard;
  const EarlierCopy earlier(host, package.id);
  const bool is_final = !options.check && options.only.empty();
  SeenGeneration seen(host, package, is_final ? outcome.signer : std::nullopt);
  std::optional<TryMark> mark;
  if (is_final) set_mark(mark, host, package.id, options, outcome);
  if (!options.check) {
    std::string why;
    outcome.copy = store_copy(host, package.id, tarball, why).value_or("");
    options.report(outcome.copy.empty() ? "cannot keep a copy of the tarball: " + why
                                        : "kept a copy of the tarball in " + outcome.copy);
  }
  try {
    if (core == CoreState::Idle) unload_idle_core(host, options.report);
    Loading loading(host, options);
    for (const LoadedModule& module : modules) loading.load(module);
    for (const PackageTarget* user : users)
      loading.load(finalize_target(host, package, *user, plan.kernel->targets.size()));
    check_registered(host, package.id);
    // Who finishes a target that comes later leaves them as they were when the update was applied.
    if (options.only.empty() || is_anew) write_settings(host, package.id, options);
    if (!options.check) write_late(host, options);
    // The names stay as they were until the targets that were left out are in place.
    if (is_anew && !left_out.empty()) write_setting(host, package.id, "partial", join(left_out));
    change_stage(host, package.id, options.check ? "check" : "applied", Action::Apply);
    if (!options.check) loading.keep();
    seen.keep();
    // A target that is still being loaded may be gone again soon, and come once more.
    if (is_applied && !options.check && options.only.empty())
      write_setting(host, package.id, "partial", left_out.empty() ? "0" : join(left_out));
  } catch (const Error&) {
    if (!options.check) earlier.put_back();
    throw;
  }
  outcome.result = options.check ? ApplyResult::Checked
                   : is_applied  ? ApplyResult::Extended
                                 : ApplyResult::Applied;
  if (is_final) {
    note_for_boot(host, package.id, tarball, options, outcome);
    release_mark(mark, options);
  }
  return outcome;
}

UndoOutcome undo_update(const Host& host, const std::string& id, const LoadOptions& options) {
  if (::geteuid() != 0) throw not_permitted();
  return undo_update(host, ToolLock(host), id, options);
}

UndoOutcome undo_update(const Host& host, const ToolLock&, const std::string& id,
                        const LoadOptions& options) {
  std::optional<UpdateState> state = read_update(host, id);
  if (!state) {
    forget_mark(host, id);
    if (!forget_wanted(host, id)) throw unknown_update(id);
    unload_idle_core(host, options.report);
    return {UndoResult::CopyRemoved, {}};
  }
  check_interrupted();
  SignalGuard guard;
  bool was_applied = state->stage == "applied";
  if (was_applied) {
    check_no_patched(host, id);
    write_settings(host, id, options);
    RecordAside record(host, id);
    change_stage(host, id, "reversed", Action::Undo);
    record.keep_aside();
    options.report(fmt::format("update {} is reversed", id));
  }
  forget_mark(host, id);
  // What the core says now: which modules stay.
  state = read_update(host, id);
  if (!state) throw Error("unexpected", fmt::format("the kernel lost update {}", id));
  unload_modules(host, *state, options.report);
  // The copy goes last: as long as it is there, running this again finishes what a crash left.
  unload_idle_core(host, options.report);
  forget_wanted(host, id);
  if (state->is_kept()) return {UndoResult::Kept, state->kept_lines()};
  return {was_applied ? UndoResult::Undone : UndoResult::CleanedUp, {}};
}

void count_calls(const Host& host, const std::string& id, bool on) {
  const int error = write_update(host, id, "count_calls", on ? "1" : "0");
  if (error == 0) return;
  if (error == EACCES) throw not_permitted();
  std::optional<UpdateState> state = read_finished(host, id);
  if (!state) throw unknown_update(id);
  throw_abort(id, *state, error, Action::Undo);
}

}  // namespace ksplice
