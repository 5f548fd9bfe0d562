// ksplice-trace: shows how often functions are called, by whom, how long they take and what they
// return, with the original and an update's new code told apart.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "apply/options.h"
#include "apply/trace/report.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {
namespace {

using Clock = std::chrono::steady_clock;

struct Options : CommonOptions {
  std::vector<std::string> what;
  double duration = 0;  // seconds; 0: until Ctrl-C
  size_t top = 5;
};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

bool is_interrupted() {
  try {
    check_interrupted();
  } catch (const Error&) {
    return true;
  }
  return false;
}

// One line that is written over, for who watches.
class Progress {
 public:
  explicit Progress(const Options& options)
      : is_shown_(!options.quiet && ::isatty(STDERR_FILENO)) {}
  ~Progress() {
    if (is_shown_) fmt::print(stderr, "\r\033[K");
  }
  void show(double seconds, uint64_t calls, uint64_t last) const {
    if (is_shown_)
      fmt::print(stderr,
                 "\r\033[K{:.0f} s: {} calls, {} in the last second; Ctrl-C shows the result",
                 seconds, calls, last);
  }

 private:
  bool is_shown_;
};

// Waits, and notes the calls of each second. Returns whether Ctrl-C ended it.
bool watch(const Options& options, const TraceSession& session, Clock::time_point begin,
           std::vector<FunctionTrace>& functions) {
  using namespace std::chrono_literals;
  const Progress progress(options);
  std::vector<uint64_t> before(functions.size());
  for (double next = 1;; std::this_thread::sleep_for(20ms)) {
    if (is_interrupted()) return true;
    const double now = seconds_since(begin);
    if (now >= next) {
      uint64_t all = 0, last = 0;
      const std::vector<uint64_t> calls = session.calls();
      for (size_t i = 0; i < functions.size(); ++i) {
        functions[i].per_second.push_back(calls[i] - before[i]);
        all += calls[i];
        last += calls[i] - before[i];
      }
      before = calls;
      progress.show(now, all, last);
      next += 1;
    }
    if (options.duration > 0 && now >= options.duration) return false;
  }
}

int trace(const Options& options) {
  if (::geteuid() != 0)
    throw Error("not_permitted", "only root can trace the kernel", "run it as root");
  const auto report = make_report(options);
  const Host host;
  std::optional<SymbolTable> symbols(std::in_place, read_text(host.path("/proc/kallsyms")));
  TraceTargets targets = find_targets(host, *symbols, options.what);
  if (targets.functions.empty())
    throw Error("target_not_loaded", "no function of what is to be traced is in the kernel");
  const auto bodies = applied_bodies(host);

  Trace result;
  result.notes = targets.notes;
  const KernelTypes kernel_types;
  if (!kernel_types.are_there())
    result.notes.push_back("the kernel tells no types (BTF): what is returned is shown as numbers");
  std::vector<ResultType> types;
  for (const TraceTarget& target : targets.functions)
    types.push_back(kernel_types.result_of(target.module, target.name));

  TraceSession session(targets.functions, types);
  report(fmt::format("tracing {} functions", targets.functions.size()));
  const Clock::time_point begin = Clock::now();
  for (size_t i = 0; i < targets.functions.size(); ++i)
    result.functions.push_back({targets.functions[i], types[i], {}, {}});
  result.is_interrupted = watch(options, session, begin, result.functions) && options.duration > 0;
  result.seconds = seconds_since(begin);
  session.detach();
  result.bodies_are_unsure = applied_bodies(host) != bodies;

  std::vector<TraceData> data = session.read();
  for (size_t i = 0; i < data.size(); ++i) result.functions[i].data = std::move(data[i]);
  // A module that came meanwhile has names, too.
  symbols.emplace(read_text(host.path("/proc/kallsyms")));
  if (options.json)
    fmt::print("{}\n", to_json(result, *symbols)
                           .dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  else
    fmt::print("{}", to_text(result, *symbols, options.top));
  return ExitDone;
}

}  // namespace
}  // namespace ksplice

int main(int argc, char** argv) {
  ksplice::Options options;
  CLI::App app(
      "Shows how often functions of the running kernel are called, by whom, how long they take and "
      "what "
      "they return; the original and an update's code apart.",
      "ksplice-trace");
  ksplice::add_common_options(app, options);
  app.add_option("WHAT", options.what,
                 "a tarball or the id of an update, for all its functions, or [MODULE:]FUNCTION")
      ->required();
  app.add_option("--duration", options.duration, "seconds; else until Ctrl-C")
      ->check(CLI::Range(0.1, 86400.0));
  app.add_option("--top", options.top, "rows of each list (5)")->check(CLI::Range(1, 1000));
  app.footer("Exit codes: 0 done, 1 failed, 2 usage, 3 refused.");
  return ksplice::run_app(app, argc, argv, options, [&] { return ksplice::trace(options); });
}
