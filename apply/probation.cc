#include "apply/probation.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "apply/boot.h"
#include "apply/kernel_updates.h"
#include "apply/load.h"
#include "apply/tool_lock.h"
#include "apply/trouble.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/interrupt_later.h"
#include "objdiff/base/process.h"
#include "objdiff/base/utc.h"

namespace ksplice {

namespace {

namespace fs = std::filesystem;

constexpr const char* Watcher = "ksplice-boot";
constexpr const char* HealthPath =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr int UndoTries = 60;

// Seconds since the boot, also while the host slept: no clock that somebody sets.
double uptime() {
  struct timespec now = {};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

fs::path watcher_path() { return fs::read_symlink("/proc/self/exe").replace_filename(Watcher); }

// How the health command failed; or nothing. In the same surroundings whoever runs it: what it
// says before the update is applied is what the watcher would hear. One that does not end is not
// healthy either.
std::optional<std::string> unhealthy(const std::string& command) {
  if (command.empty()) return std::nullopt;
  CommandOptions options;
  options.dies_with_us = true;
  options.directory = "/";
  const CommandResult result = run_command(
      {"timeout", "-k", "5", "60", "env", "-i", HealthPath, "HOME=/root", "/bin/sh", "-c", command},
      options);
  if (result.status == 0) return std::nullopt;
  std::string said = result.output.substr(0, 200);
  std::replace(said.begin(), said.end(), '\n', ' ');
  return fmt::format("the health command failed with status {}{}{}", result.status,
                     said.empty() ? "" : ": ", said);
}

// Not in the session of whoever applies: a unit of its own. The update is applied by now: where
// this fails, or is interrupted, there is still the daemon.
bool start_unit(const Host& host, const std::string& id) {
  std::error_code ignored;
  if (!fs::is_directory(host.path("/run/systemd/system"), ignored)) return false;
  try {
    return run_command({"systemd-run", "--quiet", "--collect", "--unit=ksplice-probation-" + id,
                        "--description=Probation of the live update " + id, watcher_path(),
                        "--watch=" + id})
               .status == 0;
  } catch (const Error&) {
    return false;
  }
}

[[noreturn]] void become_daemon(const std::string& path, const std::string& argument) {
  ::setsid();
  if (::fork() != 0) ::_exit(0);
  if (::chdir("/") != 0) ::_exit(1);
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd : {0, 1, 2}) ::dup2(null, fd);
  ::close_range(3, ~0U, 0);
  ::execl(path.c_str(), Watcher, argument.c_str(), nullptr);
  ::_exit(1);
}

void start_daemon(const std::string& id) {
  const std::string path = watcher_path(), argument = "--watch=" + id;
  const pid_t pid = ::fork();
  if (pid == 0) become_daemon(path, argument);
  int status = 0;
  if (pid > 0) ::waitpid(pid, &status, 0);
}

bool is_watched(const Host& host, const std::string& id) {
  try {
    const std::optional<Mark> mark = find_probation(read_boot_state(host), id, boot_id(host));
    // A watcher whose time was short may be gone again.
    return !mark || is_watched(host, *mark);
  } catch (const Error&) {
    return false;  // who cannot read that does not watch either
  }
}

// change: returns whether there is something to write.
void update_state(const Host& host, const std::function<bool(BootState&)>& change) {
  ToolLock lock(host);
  BootState state = read_boot_state(host);
  if (change(state)) write_boot_state(host, state);
}

// Whether the mark is still the one that this process has taken over. Somebody may have undone the
// update since, and applied it again.
bool is_ours(const Host& host, const BootState& state, const Mark& ours) {
  const std::optional<Mark> mark = find_probation(state, ours.id, boot_id(host));
  return mark && mark->probation->watcher == ours.probation->watcher &&
         mark->probation->after == ours.probation->after &&
         mark->probation->until == ours.probation->until;
}

void remove_mark(BootState& state, const std::string& id) {
  std::erase_if(state.marks, [&](const Mark& mark) { return mark.id == id; });
}

// The disk may be full by now; the mark, which is there, keeps it away from the next boot, too.
// Returns false, and does nothing, if the update is not ours any more.
bool put_in_quarantine(const Host& host, const Mark& ours, const Quarantined& noted) {
  bool was_ours = true;
  try {
    update_state(host, [&](BootState& state) {
      was_ours = is_ours(host, state, ours);
      if (!was_ours) return false;
      remove_mark(state, ours.id);
      std::erase_if(state.quarantine, [&](const Quarantined& each) { return each.id == ours.id; });
      state.quarantine.push_back(noted);
      return true;
    });
  } catch (const Error& error) {
    tell_console(host,
                 fmt::format("update {} cannot be put into quarantine: {}", ours.id, error.what()));
  }
  return was_ours;
}

// As long as what was noted is there, or else our mark, nobody has applied it anew.
bool may_undo(const Host& host, const Mark& ours, const Quarantined& noted) {
  BootState state;
  try {
    state = read_boot_state(host);
  } catch (const Error&) {
    return true;  // nobody can apply anything in that state
  }
  // Not by the reason: what of it is no UTF-8 was replaced in the file.
  for (const Quarantined& each : state.quarantine)
    if (each.id == noted.id && each.since == noted.since) return true;
  return is_ours(host, state, ours);
}

// Whether a processor may be stuck. An undo would wait for it with all others stopped.
bool is_stuck(std::optional<TroubleWatch>& watch) {
  try {
    if (watch) watch->look();
  } catch (const Error&) {
    // What it has seen before counts.
  }
  return watch && watch->is_stuck();
}

// A task that is in new code now may have left it later.
ProbationEnd undo(const Host& host, const Mark& ours, const Quarantined& noted,
                  std::optional<TroubleWatch>& watch,
                  const std::function<void(const std::string&)>& report) {
  LoadOptions options;
  options.report = report;
  std::string why;
  for (int i = 0; i < UndoTries; ++i) {
    if (i != 0) ::sleep(5);
    if (is_stuck(watch)) {
      tell_console(host, fmt::format("update {} is not undone by itself, as a processor may be "
                                     "stuck, and the undo stops all others until it answers; to "
                                     "undo it: ksplice-undo {}",
                                     ours.id, ours.id));
      return ProbationEnd::Stuck;
    }
    try {
      const ToolLock lock(host);
      if (!may_undo(host, ours, noted)) return ProbationEnd::Over;
      undo_update(host, lock, ours.id, options);
      tell_console(host, fmt::format("update {} is undone", ours.id));
      return ProbationEnd::Undone;
    } catch (const Error& error) {
      if (error.code == "unknown_update") return ProbationEnd::Undone;
      if (error.code == "interrupted") throw;
      why = error.what();
    }
  }
  tell_console(host, fmt::format("update {} {}: {}", ours.id,
                                 is_applied(host, ours.id) ? "could not be undone"
                                                           : "is undone, but not cleaned up",
                                 why));
  return ProbationEnd::Stuck;
}

// Our own mark, with our number in it; it says from when on and for how long to watch.
Mark take_over(const Host& host, const std::string& id) {
  std::optional<Mark> taken;
  update_state(host, [&](BootState& state) {
    const std::optional<Mark> mark = find_probation(state, id, boot_id(host));
    if (!mark || !is_applied(host, id))
      throw Error("unknown_update", fmt::format("update {} is not on probation", id));
    for (Mark& each : state.marks) {
      if (each.id != id) continue;
      each.probation->watcher = ::getpid();
      each.probation->until = uptime() + each.probation->seconds;
      taken = each;
    }
    return true;
  });
  return *taken;
}

// Whoever applies it for another target holds the lock, and may put our mark back.
bool is_lost(const Host& host, const Mark& ours) {
  const auto is_there = [&] {
    return is_ours(host, read_boot_state(host), ours) && is_applied(host, ours.id);
  };
  if (is_there()) return false;
  try {
    ToolLock lock(host);
    return !is_there();
  } catch (const Error& error) {
    if (error.code == "tool_busy") return false;  // not known yet
    throw;
  }
}

// Until the time is over (nothing), or something is wrong.
std::optional<std::string> wait_for_trouble(const Host& host, const Mark& ours, TroubleWatch& watch,
                                            bool& was_ours) {
  const Probation& probation = *ours.probation;
  const double pause = std::clamp(probation.seconds / 20, 1.0, 30.0);
  double next_check = uptime() + pause;
  for (;;) {
    check_interrupted();
    if (std::optional<std::string> trouble = watch.look()) return trouble;
    was_ours = !is_lost(host, ours);
    if (!was_ours) return std::nullopt;
    const double now = uptime();
    const bool is_over = now >= probation.until;
    if (now >= next_check || is_over) {
      if (std::optional<std::string> why = unhealthy(probation.command)) return why;
      next_check = uptime() + pause;
    }
    if (is_over) return watch.look();
    ::usleep(500'000);
  }
}

}  // namespace

Probation begin_probation(const Host& host, double seconds, const std::string& command) {
  const TroubleWatch watch(host);
  Probation probation;
  probation.seconds = seconds;
  probation.command = command;
  probation.after = watch.last_seen();
  probation.taint = watch.taint();
  if (const std::optional<std::string> why = unhealthy(command))
    throw Error("unhealthy", *why + ", before the update is applied",
                "look at the host first; nothing was changed");
  return probation;
}

void start_watcher(const Host& host, const std::string& id) {
  if (!start_unit(host, id)) start_daemon(id);
  for (int i = 0; i < 100; ++i) {
    if (is_watched(host, id)) return;
    ::usleep(100'000);
  }
  {
    // It may be why nobody watches.
    InterruptLater later;
    const ToolLock lock(host);
    if (is_watched(host, id)) return;
    undo_update(host, lock, id, {});
  }
  check_interrupted();
  throw Error("failed", fmt::format("nobody watches update {}, so it was undone", id),
              fmt::format("see whether {} can be run", watcher_path().string()));
}

ProbationEnd watch_probation(const Host& host, const std::string& id,
                             const std::function<void(const std::string&)>& report) {
  const Mark mark = take_over(host, id);
  bool was_ours = true;
  std::optional<TroubleWatch> watch;
  std::optional<std::string> trouble;
  try {
    watch.emplace(host, mark.probation->after, mark.probation->taint);
    trouble = wait_for_trouble(host, mark, *watch, was_ours);
  } catch (const Error& error) {
    if (error.code == "interrupted") throw;
    trouble = error.what();  // who cannot see cannot say that all is well
  }
  if (!was_ours) return ProbationEnd::Over;
  if (!trouble) {
    update_state(host, [&](BootState& state) {
      was_ours = is_ours(host, state, mark);
      if (was_ours) remove_mark(state, id);
      return was_ours;
    });
    if (!was_ours) return ProbationEnd::Over;
    report(fmt::format("update {} has passed its probation", id));
    return ProbationEnd::Passed;
  }
  const Quarantined noted = {id, "on probation: " + *trouble, now_utc()};
  if (!put_in_quarantine(host, mark, noted)) return ProbationEnd::Over;
  tell_console(host, fmt::format("update {} is now in quarantine: {}", id, noted.reason));
  return undo(host, mark, noted, watch, report);
}

std::optional<Mark> find_probation(const BootState& state, const std::string& id,
                                   const std::string& boot) {
  for (const Mark& mark : state.marks)
    if (mark.id == id && mark.boot == boot && mark.phase == Phase::Probation) return mark;
  return std::nullopt;
}

bool is_watched(const Host& host, const Mark& mark) {
  const int watcher = mark.probation->watcher;
  std::error_code ignored;
  const fs::path comm = host.path(fmt::format("/proc/{}/comm", watcher));
  return watcher != 0 && fs::exists(comm, ignored) &&
         read_text(comm).starts_with(std::string(Watcher).substr(0, 15));
}

}  // namespace ksplice
