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
#include "objdiff/base/process.h"
#include "objdiff/base/utc.h"

namespace ksplice {

namespace {

namespace fs = std::filesystem;

constexpr const char* Watcher = "ksplice-boot";
constexpr int UndoTries = 60;

// Seconds since the boot, also while the host slept: no clock that somebody sets.
double uptime() {
  struct timespec now = {};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

fs::path watcher_path() { return fs::read_symlink("/proc/self/exe").replace_filename(Watcher); }

// How the health command failed; or nothing. One that does not end is not healthy either.
std::optional<std::string> unhealthy(const std::string& command) {
  if (command.empty()) return std::nullopt;
  CommandOptions options;
  options.dies_with_us = true;
  const CommandResult result =
      run_command({"timeout", "-k", "5", "60", "/bin/sh", "-c", command}, options);
  if (result.status == 0) return std::nullopt;
  std::string said = result.output.substr(0, 200);
  std::replace(said.begin(), said.end(), '\n', ' ');
  return fmt::format("the health command failed with status {}{}{}", result.status,
                     said.empty() ? "" : ": ", said);
}

// Not in the session of whoever applies: a unit of its own.
bool start_unit(const Host& host, const std::string& id) {
  std::error_code ignored;
  if (!fs::is_directory(host.path("/run/systemd/system"), ignored)) return false;
  try {
    return run_command({"systemd-run", "--quiet", "--collect", "--unit=ksplice-probation-" + id,
                        "--description=Probation of the live update " + id, watcher_path(),
                        "--watch=" + id})
               .status == 0;
  } catch (const Error& error) {
    if (error.code == "interrupted") throw;
    return false;  // no systemd-run
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
  const std::optional<Mark> mark = find_probation(read_boot_state(host), id, boot_id(host));
  // A watcher whose time was short may be gone again.
  return !mark || is_watched(host, *mark);
}

void update_state(const Host& host, const std::function<void(BootState&)>& change) {
  ToolLock lock(host);
  BootState state = read_boot_state(host);
  change(state);
  write_boot_state(host, state);
}

void remove_mark(BootState& state, const std::string& id) {
  std::erase_if(state.marks, [&](const Mark& mark) { return mark.id == id; });
}

// The disk may be full by now; the mark, which is there, keeps it away from the next boot, too.
void put_in_quarantine(const Host& host, const std::string& id, const std::string& reason) {
  try {
    update_state(host, [&](BootState& state) {
      remove_mark(state, id);
      std::erase_if(state.quarantine, [&](const Quarantined& each) { return each.id == id; });
      state.quarantine.push_back({id, reason, now_utc()});
    });
  } catch (const Error& error) {
    tell_console(host,
                 fmt::format("update {} cannot be put into quarantine: {}", id, error.what()));
  }
}

// A task that is in new code now may have left it later.
ProbationEnd undo(const Host& host, const std::string& id,
                  const std::function<void(const std::string&)>& report) {
  LoadOptions options;
  options.report = report;
  std::string why;
  for (int i = 0; i < UndoTries; ++i) {
    if (i != 0) ::sleep(5);
    try {
      undo_update(host, id, options);
      tell_console(host, fmt::format("update {} is undone", id));
      return ProbationEnd::Undone;
    } catch (const Error& error) {
      if (error.code == "unknown_update") return ProbationEnd::Undone;
      if (error.code == "interrupted") throw;
      why = error.what();
    }
  }
  tell_console(host, fmt::format("update {} could not be undone: {}", id, why));
  return ProbationEnd::Stuck;
}

bool is_applied(const Host& host, const std::string& id) {
  const std::optional<UpdateState> state = read_update(host, id);
  return state && state->stage == "applied";
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
  });
  return *taken;
}

// Until the time is over (nothing), or something is wrong.
std::optional<std::string> wait_for_trouble(const Host& host, const std::string& id,
                                            const Probation& probation, bool& is_ours) {
  TroubleWatch watch(host, probation.after, probation.taint);
  const double pause = std::clamp(probation.seconds / 20, 1.0, 30.0);
  double next_check = uptime() + pause;
  for (;;) {
    check_interrupted();
    if (std::optional<std::string> trouble = watch.look()) return trouble;
    const std::optional<Mark> mark = find_probation(read_boot_state(host), id, boot_id(host));
    is_ours = mark && mark->probation->watcher == ::getpid() && is_applied(host, id);
    if (!is_ours) return std::nullopt;
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
  undo_update(host, id, {});
  throw Error("failed", fmt::format("nobody watches update {}, so it was undone", id),
              fmt::format("see whether {} can be run", watcher_path().string()));
}

ProbationEnd watch_probation(const Host& host, const std::string& id,
                             const std::function<void(const std::string&)>& report) {
  const Mark mark = take_over(host, id);
  bool is_ours = true;
  std::optional<std::string> trouble;
  try {
    trouble = wait_for_trouble(host, id, *mark.probation, is_ours);
  } catch (const Error& error) {
    if (error.code == "interrupted") throw;
    trouble = error.what();  // who cannot see cannot say that all is well
  }
  if (!is_ours) return ProbationEnd::Over;
  if (!trouble) {
    update_state(host, [&](BootState& state) { remove_mark(state, id); });
    report(fmt::format("update {} has passed its probation", id));
    return ProbationEnd::Passed;
  }
  const std::string reason = "on probation: " + *trouble;
  put_in_quarantine(host, id, reason);
  tell_console(host, fmt::format("update {} is now in quarantine, and is undone: {}", id, reason));
  return undo(host, id, report);
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
