#include "objdiff/base/process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/interrupt_later.h"

namespace ksplice {

namespace {

volatile sig_atomic_t signal_seen = 0;

void note_signal(int number) { signal_seen = number; }

struct Pipe {
  Fd read_end, write_end;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
      throw Error("failed", fmt::format("cannot make a pipe: {}", std::strerror(errno)));
    read_end = Fd(ends[0]);
    write_end = Fd(ends[1]);
  }
};

// Where programs, their libraries, files and caches are, and who runs them. Everything else may be
// a setting for the program: KCONFIG_CONFIG, MAKEFLAGS and CPATH change what a kernel build makes.
bool is_plain(std::string_view name) {
  for (std::string_view kept :
       {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "LD_LIBRARY_PATH",
        "LD_PRELOAD", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"})
    if (name == kept) return true;
  return name.starts_with("CCACHE_") || name.starts_with("FAKEROOT") || name.starts_with("FAKED_");
}

void clear_environment() {
  std::vector<std::string> names;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
    names.emplace_back(*entry, std::strcspn(*entry, "="));
  for (const std::string& name : names)
    if (!is_plain(name)) ::unsetenv(name.c_str());
}

// Runs in the child; does not return.
[[noreturn]] void start_child(const std::vector<std::string>& argv, const CommandOptions& options,
                              int in, int out, int report) {
  ::setpgid(0, 0);
  if (options.dies_with_us) ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(number, SIG_DFL);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(out, 2);
  // Not what our caller left open: where that is much, mmdebstrap's scripts get a number of two
  // digits, which dash does not understand ("Bad fd number").
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  if (options.plain_env) clear_environment();
  for (const auto& [name, value] : options.env)
    value.empty() ? ::unsetenv(name.c_str()) : ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> args;
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  if (options.directory.empty() || ::chdir(options.directory.c_str()) == 0)
    ::execvp(args[0], args.data());
  int error = errno;
  if (::write(report, &error, sizeof error) < 0) ::_exit(126);
  ::_exit(127);
}

// From now on what loses its parent is our child, so that end_group can wait for it.
void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

// Kills what of the group did not end with its leader, and waits until it is gone: until then it
// may still write a file.
void end_group(pid_t group) {
  adopt_orphans();
  ::kill(-group, SIGKILL);
  while (::waitpid(-group, nullptr, 0) >= 0 || errno == EINTR) {
  }
}

// Feeds input and collects output until the child closes it; kills the group on a signal.
void exchange(pid_t pid, Fd input, const CommandOptions& options, int output,
              std::string& collected) {
  std::string_view text = options.input;
  if (text.empty()) input = Fd();
  if (input.get() >= 0) ::fcntl(input.get(), F_SETFL, O_NONBLOCK);
  bool killed = false;
  for (;;) {
    if (signal_seen != 0 && !killed) {
      adopt_orphans();
      ::kill(-pid, SIGTERM);
      killed = true;
    }
    pollfd polled[2] = {{output, POLLIN, 0}, {input.get(), POLLOUT, 0}};
    int ready = ::poll(polled, 2, 200);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return;
    if (ready == 0 && options.watch) options.watch("");
    if ((polled[1].revents & (POLLOUT | POLLERR)) != 0) {
      ssize_t put = ::write(input.get(), text.data(), text.size());
      if (put > 0) text.remove_prefix(static_cast<size_t>(put));
      if (text.empty() || (put < 0 && errno != EAGAIN && errno != EINTR)) input = Fd();
    }
    if (polled[0].revents != 0) {
      char buffer[16384];
      ssize_t got = ::read(output, buffer, sizeof buffer);
      if (got == 0 || (got < 0 && errno != EINTR)) return;
      if (got <= 0) continue;
      collected.append(buffer, static_cast<size_t>(got));
      if (options.watch) options.watch(std::string_view(buffer, static_cast<size_t>(got)));
    }
  }
}

CommandResult run_group(const std::vector<std::string>& argv, const CommandOptions& options) {
  check_interrupted();
  ::signal(SIGPIPE, SIG_IGN);
  Pipe out, in, report;
  Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  pid_t pid = ::fork();
  if (pid < 0)
    throw Error("failed", fmt::format("cannot start {}: {}", argv[0], std::strerror(errno)));
  // Here and in the child, whoever is first: a signal may come before the child ran at all.
  if (pid > 0) ::setpgid(pid, pid);
  if (pid == 0)
    start_child(argv, options, options.input.empty() ? null.get() : in.read_end.get(),
                out.write_end.get(), report.write_end.get());
  out.write_end = Fd();
  in.read_end = Fd();
  report.write_end = Fd();
  CommandResult result;
  exchange(pid, std::move(in.write_end), options, out.read_end.get(), result.output);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    if (signal_seen != 0) ::kill(-pid, SIGKILL);
  }
  if (signal_seen != 0) end_group(pid);
  check_interrupted();
  int error = 0;
  if (::read(report.read_end.get(), &error, sizeof error) == sizeof error)
    throw Error("failed", fmt::format("cannot start {}: {}", argv[0], std::strerror(error)),
                error == ENOENT ? fmt::format("install the package that has {}", argv[0]) : "");
  result.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return result;
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& argv, const CommandOptions& options) {
  if (!options.own_temporary) return run_group(argv, options);
  // A compiler that is killed leaves its files.
  TempDir temporary;
  CommandOptions own = options;
  own.env["TMPDIR"] = temporary.path();
  return run_group(argv, own);
}

void install_signal_flag() {
  struct sigaction action = {};
  action.sa_handler = note_signal;
  for (int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(number, &action, nullptr);
}

void check_interrupted() {
  if (signal_seen != 0)
    throw Error("interrupted", fmt::format("interrupted by {}", ::strsignal(signal_seen)));
}

InterruptLater::InterruptLater() {
  sigset_t blocked;
  ::sigemptyset(&blocked);
  for (int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&blocked, number);
  ::sigprocmask(SIG_BLOCK, &blocked, &before_);
  seen_ = signal_seen;
  signal_seen = 0;
}

InterruptLater::~InterruptLater() {
  signal_seen = seen_;
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace ksplice
