// ksplice-trace: shows how often functions are called, by whom, how long they take and what they
// return, with the original and an update's new code told apart.
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "apply/kernel_updates.h"
#include "apply/options.h"
#include "apply/trace/compare.h"
#include "apply/trace/picture.h"
#include "apply/trace/report.h"
#include "create/package/package.h"
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
  bool compare = false;
  std::string svg;  // file
  bool reach = false;
  std::vector<std::string> tripwires;
};

constexpr size_t LoggedTrips = 1000;  // of each function; those behind them are counted only

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
bool watch(const Options& options, TraceSession& session, Clock::time_point begin,
           std::vector<FunctionTrace>& functions) {
  const Progress progress(options);
  std::vector<uint64_t> before(functions.size());
  for (double next = 1;; session.wait(20)) {
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

// What is told while it is measured: processes, and calls that met a condition.
class Listener {
 public:
  Listener(const Options& options, const Host& host, std::vector<FunctionTrace>& functions)
      : options_(options), functions_(functions), users_(host) {}

  void hear(const trace_event& event) {
    if (event.kind == TRACE_EVENT_PROCESS) return users_.note(event.pid);
    FunctionTrace& function = functions_.at(event.function);
    if (!function.tripwire || function.tripwire->log.size() >= LoggedTrips) return;
    function.tripwire->log.push_back(event);
    if (!options_.quiet)
      fmt::print(stderr, "{}tripwire: {}: {} ({}): {}\n", ::isatty(STDERR_FILENO) ? "\r\033[K" : "",
                 function.target.name, printable({event.name, ::strnlen(event.name, TRACE_NAME)}),
                 event.pid, values_text(function.tripwire->wire, event));
  }
  UserSymbols& users() { return users_; }

 private:
  const Options& options_;
  std::vector<FunctionTrace>& functions_;
  UserSymbols users_;
};

// Which condition is whose. Throws Error: bad_condition.
void set_tripwires(const Options& options, const KernelTypes& types,
                   std::vector<FunctionTrace>& functions) {
  for (const std::string& text : options.tripwires) {
    const TripwireText parts = split_tripwire(text);
    size_t found = 0;
    for (FunctionTrace& function : functions) {
      const TraceTarget& target = function.target;
      if (!parts.function.empty() && parts.function != target.name &&
          parts.function != target.module + ":" + target.name)
        continue;
      if (parts.function.empty() && target.name != functions[0].target.name)
        throw Error("bad_condition",
                    fmt::format("several functions are traced: of which one is '{}'?", text),
                    fmt::format("say so: --tripwire '{}: {}'", target.name, parts.condition));
      if (function.tripwire)
        throw Error("bad_condition", fmt::format("{} has two conditions", target.name),
                    "join them with || or &&");
      function.tripwire = {types.tripwire(target.module, target.name, parts.condition), {}};
      ++found;
    }
    if (found == 0)
      throw Error("bad_condition", fmt::format("{} of condition '{}' is not among what is traced",
                                               parts.function, text));
  }
}

// What is applied must be read before the targets are found in it.
using Bodies = decltype(applied_bodies(std::declval<const Host&>()));

// Types are read once for all: the kernel's own do not change, and are some megabytes.
Trace measure(const Options& options, const Host& host, const KernelTypes& kernel_types,
              const TraceTargets& targets, const Bodies& bodies) {
  const auto report = make_report(options);
  Trace result;
  result.notes = targets.notes;
  if (!kernel_types.are_there())
    result.notes.push_back("the kernel tells no types (BTF): what is returned is shown as numbers");
  std::vector<ResultType> types;
  for (const TraceTarget& target : targets.functions) {
    types.push_back(kernel_types.result_of(target.module, target.name));
    result.functions.push_back({target, types.back(), {}, {}, {}});
  }
  set_tripwires(options, kernel_types, result.functions);

  Listener listener(options, host, result.functions);
  TraceOptions trace_options;
  trace_options.users = options.reach;
  trace_options.on_event = [&](const trace_event& event) { listener.hear(event); };
  for (size_t i = 0; i < result.functions.size(); ++i)
    if (result.functions[i].tripwire)
      trace_options.tripwires[i] = result.functions[i].tripwire->wire.code;
  TraceSession session(targets.functions, types, trace_options);
  report(fmt::format("tracing {} functions", targets.functions.size()));
  for (size_t i = 0; i < targets.functions.size(); ++i)
    result.functions[i].why_not = session.why_not(i);
  session.count(true);
  const Clock::time_point begin = Clock::now();
  result.begin_ns = static_cast<uint64_t>(begin.time_since_epoch() / std::chrono::nanoseconds(1));
  result.is_interrupted = watch(options, session, begin, result.functions) && options.duration > 0;
  session.count(false);
  result.seconds = seconds_since(begin);
  session.detach();
  session.wait(0);  // the last of them
  result.bodies_are_unsure = applied_bodies(host) != bodies;

  const SymbolTable symbols(options.reach ? read_text(host.path("/proc/kallsyms")) : "");
  std::vector<TraceData> data = session.read();
  for (size_t i = 0; i < data.size(); ++i) {
    if (options.reach) result.functions[i].reach = reach_rows(data[i], symbols, listener.users());
    result.functions[i].data = std::move(data[i]);
  }
  return result;
}

TraceTargets find_some(const Host& host, const std::vector<std::string>& words) {
  TraceTargets targets =
      find_targets(host, SymbolTable(read_text(host.path("/proc/kallsyms"))), words);
  if (targets.functions.empty())
    throw Error("target_not_loaded", "no function of what is to be traced is in the kernel");
  return targets;
}

void print_json(const nlohmann::ordered_json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

// Before all the waiting. The file is put in the place of what is there, which must not be a
// device.
void check_writable(const std::filesystem::path& path) {
  std::error_code ignored;
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  if (!std::filesystem::is_directory(folder, ignored) || ::access(folder.c_str(), W_OK) != 0)
    throw Error("failed", fmt::format("cannot write {}: no folder to write in", path.string()));
  if (std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored))
    throw Error("failed", fmt::format("cannot write {}: it is no file", path.string()));
}

void draw(const Options& options, const std::vector<PicturePart>& parts,
          const SymbolTable& symbols) {
  if (!options.svg.empty()) write_file(options.svg, to_svg(parts, symbols));
}

int trace(const Options& options, const Host& host) {
  const Bodies bodies = applied_bodies(host);
  const Trace result = measure(options, host, KernelTypes(), find_some(host, options.what), bodies);
  // Read again: a module that came meanwhile has names, too.
  const SymbolTable symbols(read_text(host.path("/proc/kallsyms")));
  draw(options, {{fmt::format("ksplice-trace {}", fmt::join(options.what, " ")), result}}, symbols);
  if (options.json)
    print_json(to_json(result, symbols));
  else
    fmt::print("{}", to_text(result, symbols, options.top));
  return ExitDone;
}

// By the program itself, of our own build if it is here: it is the one that the kernel calls when a
// module of the update comes later.
void run_tool_beside(const std::string& name, const std::string& word) {
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe");
  const std::filesystem::path beside = own.parent_path() / name;
  std::error_code ignored;
  const bool is_there = std::filesystem::exists(beside, ignored);
  const CommandResult result =
      run_command({is_there ? beside.string() : name, "--raw-errors", "--", word});
  if (result.status == ExitDone) return;
  const size_t end = std::min(result.output.find('\n'), result.output.size());
  const std::string code = result.output.substr(0, end);
  const bool is_code =
      !code.empty() && code.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos;
  const std::string message = fmt::format(
      "{} {} ended with {}:\n{}", name, word, result.status,
      is_code ? result.output.substr(std::min(end + 1, result.output.size())) : result.output);
  if (result.status != ExitRefused) throw Error(is_code ? code : "failed", message);
  Refusal refusal;
  refusal.code = is_code ? code : "failed";
  refusal.object = word;
  refusal.message = message;
  throw Refused({refusal});
}

// Those of an update below are there after an undo.
void leave_out_gone(TraceTargets& targets, const Bodies& bodies) {
  for (TraceTarget& target : targets.functions)
    std::erase_if(target.new_addrs, [&](uint64_t addr) {
      return std::none_of(bodies.begin(), bodies.end(),
                          [&](const auto& body) { return body.second == addr; });
    });
}

// What a comparison that did not come to its end has left.
std::string state_text(const Host& host, const std::string& id) {
  const std::optional<UpdateState> state = read_update(host, id);
  if (!state) return fmt::format("update {} is not in the kernel now", id);
  return fmt::format("update {} is {} now, and stays so", id, state->stage);
}

// A tarball is applied between two measurements, or an update undone, and left so.
int compare(const Options& options, const Host& host) {
  if (options.what.size() != 1)
    throw Error("usage", "--compare takes one tarball, or the id of one update");
  const std::string& word = options.what[0];
  Comparison comparison;
  comparison.is_undo = is_applied(host, word);
  comparison.id = comparison.is_undo ? word : read_package(word).id;
  if (!comparison.is_undo && is_applied(host, comparison.id))
    throw Error("usage", fmt::format("update {} is applied already", comparison.id),
                fmt::format("to compare with an undo: ksplice-trace --compare {}", comparison.id));
  Bodies bodies = applied_bodies(host);
  TraceTargets targets = find_some(host, {word});
  const KernelTypes types;
  try {
    comparison.before = measure(options, host, types, targets, bodies);
    check_interrupted();
    run_tool_beside(comparison.is_undo ? "ksplice-undo" : "ksplice-apply", word);
    bodies = applied_bodies(host);
    if (comparison.is_undo)
      leave_out_gone(targets, bodies);
    else
      targets = find_some(host, {comparison.id});
    comparison.after = measure(options, host, types, targets, bodies);
  } catch (const Refused&) {
    throw;  // by the tool: it leaves everything as it was
  } catch (const Error& error) {
    throw Error(error.code, fmt::format("{}\n{}", error.what(), state_text(host, comparison.id)),
                error.hint);
  }
  const SymbolTable symbols(read_text(host.path("/proc/kallsyms")));
  draw(options,
       {{fmt::format("update {}: before", comparison.id), comparison.before},
        {fmt::format("after it was {}", comparison.is_undo ? "undone" : "applied"),
         comparison.after}},
       symbols);
  if (options.json)
    print_json(to_json(comparison, symbols));
  else
    fmt::print("{}", to_text(comparison));
  return ExitDone;
}

int run(const Options& options) {
  if (::geteuid() != 0)
    throw Error("not_permitted", "only root can trace the kernel", "run it as root");
  if (!options.svg.empty()) check_writable(options.svg);
  const Host host;
  return options.compare ? compare(options, host) : trace(options, host);
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
  CLI::Option* duration =
      app.add_option("--duration", options.duration, "seconds; else until Ctrl-C")
          ->check(CLI::Range(0.1, 86400.0))
          ->check([](const std::string& text) {  // no comparison with it is false
            return text.find("nan") == std::string::npos ? "" : "it is no number";
          });
  CLI::Option* compare =
      app.add_flag("--compare", options.compare,
                   "trace for that time, apply the tarball or undo the update, and trace again")
          ->needs(duration);
  app.add_option("--svg", options.svg,
                 "write it as a picture, too: histograms and a flame graph of the callers")
      ->type_name("FILE");
  app.add_flag("--reach", options.reach,
               "show which programs reach the functions, and from where in them")
      ->excludes(compare);
  app.add_option("--tripwire", options.tripwires,
                 "count and log the calls whose arguments meet this: [FUNCTION:] count > 4096")
      ->type_name("CONDITION")
      ->allow_extra_args(false)
      ->excludes(compare);
  app.add_option("--top", options.top, "rows of each list (5)")->check(CLI::Range(1, 1000));
  app.footer("Exit codes: 0 done, 1 failed, 2 usage, 3 refused.");
  return ksplice::run_app(app, argc, argv, options, [&] { return ksplice::run(options); });
}
