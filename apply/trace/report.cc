#include "apply/trace/report.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace ksplice {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* BodyNames[TRACE_BODIES] = {"old", "new"};
constexpr uint64_t BarWidth = 40;

struct Row {
  std::string text;
  uint64_t calls = 0;
};

// The most frequent first.
template <typename T>
void sort_rows(std::vector<T>& rows) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const T& a, const T& b) { return a.calls > b.calls; });
}

struct ProcessRow {
  uint32_t pid = 0;
  std::string name;
  uint64_t calls = 0, new_calls = 0, trips = 0;
};

std::string event_name(const trace_event& event) {
  return {event.name, ::strnlen(event.name, TRACE_NAME)};
}

double seconds_of(const Trace& trace, const trace_event& event) {
  return static_cast<double>(event.time - std::min<uint64_t>(event.time, trace.begin_ns)) / 1e9;
}

std::vector<ProcessRow> process_rows(const TraceData& data) {
  std::vector<ProcessRow> rows;
  for (const auto& [pid, process] : data.processes)
    rows.push_back({pid, std::string(process.name, ::strnlen(process.name, TRACE_NAME)),
                    process.calls, process.new_calls, process.trips});
  sort_rows(rows);
  return rows;
}

struct StackRow {
  std::vector<std::string> frames;
  uint64_t calls = 0, new_calls = 0;
};

// Stacks of which the callers read the same are one.
std::vector<StackRow> stack_rows(const FunctionTrace& function, const SymbolTable& symbols) {
  std::map<std::vector<std::string>, StackRow> by_text;
  for (const TraceStack& stack : function.data.stacks) {
    std::vector<std::string> frames = callers(stack.frames, function.target, symbols);
    StackRow& row = by_text[frames];
    row.frames = std::move(frames);
    row.calls += stack.calls;
    row.new_calls += stack.new_calls;
  }
  std::vector<StackRow> rows;
  for (const auto& [frames, row] : by_text) rows.push_back(row);
  sort_rows(rows);
  return rows;
}

struct ResultRow {
  int64_t value = 0;
  std::string text;
  uint64_t calls = 0, new_calls = 0;
};

std::vector<ResultRow> result_rows(const FunctionTrace& function) {
  std::map<int64_t, ResultRow> rows;
  for (int body = 0; body < TRACE_BODIES; ++body)
    for (const auto& [value, calls] : function.data.results[body]) {
      ResultRow& row = rows[value];
      row.value = value;
      row.text = result_text(function.type, value);
      row.calls += calls;
      if (body == TRACE_NEW) row.new_calls += calls;
    }
  std::vector<ResultRow> list;
  for (const auto& [value, row] : rows) list.push_back(row);
  sort_rows(list);
  return list;
}

uint64_t returned(const TraceData& data) {
  return data.latencies[TRACE_OLD].returned + data.latencies[TRACE_NEW].returned;
}

Json to_json(const trace_latency& latency) {
  Json histogram = Json::array();
  for (size_t i = 0; i < TRACE_BUCKETS; ++i)
    if (latency.buckets[i] != 0)
      histogram.push_back({{"from_ns", bucket_begin(i)},
                           {"below_ns", bucket_end(i)},
                           {"calls", latency.buckets[i]}});
  Json json = {{"returned", latency.returned}};
  if (latency.returned != 0) {
    json["mean_ns"] = latency.total / latency.returned;
    json["longest_ns"] = latency.longest;
  }
  json["histogram"] = histogram;
  return json;
}

// What is said of a body; empty if it returned from no call.
std::string latency_text(const trace_latency& latency, const std::string& label) {
  if (latency.returned == 0) return "";
  std::string text = fmt::format("  {:<10}{} on average, {} at most, of {} calls\n", label,
                                 time_text(latency.total / latency.returned),
                                 time_text(latency.longest), number_text(latency.returned));
  size_t first = 0, last = TRACE_BUCKETS - 1;
  while (latency.buckets[first] == 0 && first < last) ++first;
  while (latency.buckets[last] == 0 && last > first) --last;
  const uint64_t most = *std::max_element(latency.buckets, latency.buckets + TRACE_BUCKETS);
  for (size_t i = first; i <= last; ++i) {
    const uint64_t width = (latency.buckets[i] * BarWidth + most - 1) / most;
    text += fmt::format("            {:>8} .. {:<8} |{:<{}}| {}\n", time_text(bucket_begin(i)),
                        time_text(bucket_end(i)), std::string(width, '@'), BarWidth,
                        number_text(latency.buckets[i]));
  }
  return text;
}

std::string bodies_text(const FunctionTrace& function, bool are_unsure) {
  const trace_counts& counts = function.data.counts;
  if (are_unsure)
    return "  bodies    not told apart, as an update was applied or undone meanwhile\n";
  if (function.target.new_addrs.empty() && counts.new_calls == 0) return "";
  return fmt::format("  bodies    {} calls of the old one, {} of the new one\n",
                     number_text(counts.calls - counts.new_calls), number_text(counts.new_calls));
}

std::string calls_text(const Trace& trace, const FunctionTrace& function) {
  const uint64_t calls = function.data.counts.calls;
  std::string text = fmt::format("  calls     {} in {:.1f} s", number_text(calls), trace.seconds);
  if (calls != 0 && trace.seconds > 0)
    text += fmt::format(", {} a second", number_text(static_cast<uint64_t>(std::llround(
                                             static_cast<double>(calls) / trace.seconds))));
  if (function.per_second.size() > 1)
    text += fmt::format(
        ", at most {} in one",
        number_text(*std::max_element(function.per_second.begin(), function.per_second.end())));
  return text + "\n";
}

// A list with its first rows, and how many calls are not in these.
std::string list_text(const std::string& label, const std::vector<Row>& rows, size_t top,
                      uint64_t others) {
  std::string text;
  for (size_t i = 0; i < rows.size(); ++i)
    if (i < top)
      text += fmt::format("  {:<10}{:>10}  {}\n", i == 0 ? label : "", number_text(rows[i].calls),
                          rows[i].text);
    else
      others += rows[i].calls;
  if (others != 0)
    text += fmt::format("  {:<10}{:>10}  others\n", rows.empty() ? label : "", number_text(others));
  return text;
}

std::string stacks_text(const FunctionTrace& function, const SymbolTable& symbols, size_t top) {
  const trace_counts& counts = function.data.counts;
  const std::vector<StackRow> rows = stack_rows(function, symbols);
  std::string text;
  for (size_t i = 0; i < rows.size() && i < top; ++i) {
    text += fmt::format("  {:<10}{:>10}", i == 0 ? "callers" : "", number_text(rows[i].calls));
    const std::string indent = "\n" + std::string(22, ' ');
    text += rows[i].frames.empty()
                ? "  not known\n"
                : fmt::format("  {}\n", fmt::join(rows[i].frames, indent + "  "));
  }
  if (rows.size() > top)
    text += fmt::format("            and {} other stacks\n", rows.size() - top);
  if (counts.stacks < counts.calls)
    text += fmt::format("            (of {} of the calls the stack was looked at)\n",
                        number_text(counts.stacks));
  if (counts.no_stack != 0)
    text +=
        fmt::format("            ({} stacks could not be kept)\n", number_text(counts.no_stack));
  return text;
}

std::string tripwire_text(const Trace& trace, const FunctionTrace& function, size_t top) {
  const auto& [wire, log] = *function.tripwire;
  const trace_counts& counts = function.data.counts;
  std::string text = fmt::format("  tripwire  {} calls met: {}\n", number_text(counts.trips),
                                 printable(wire.condition));
  std::vector<Row> rows;
  for (const ProcessRow& row : process_rows(function.data))
    if (row.trips != 0)
      rows.push_back({fmt::format("{} ({})", printable(row.name), row.pid), row.trips});
  sort_rows(rows);
  text += list_text("", rows, top, 0);
  for (size_t i = 0; i < log.size() && i < top; ++i)
    text += fmt::format("            at {:.3f} s {} ({}) of user {}: {}\n",
                        seconds_of(trace, log[i]), printable(event_name(log[i])), log[i].pid,
                        log[i].uid, values_text(wire, log[i]));
  if (counts.unread != 0)
    text +=
        fmt::format("            (of {} calls it could not be read)\n", number_text(counts.unread));
  return text;
}

std::string reach_label(const ReachRow& row) {
  std::string text = printable(row.program);
  text += row.pids.size() == 1 ? fmt::format(" ({})", *row.pids.begin())
                               : fmt::format(" ({} processes)", row.pids.size());
  if (row.is_interrupt) text += ", in an interrupt";
  if (row.is_thread) return text + ", in the kernel";
  if (row.is_unread) return text + ", went away before it could be looked at";
  if (row.gone.empty()) return text;
  return text + (row.gone.size() == row.pids.size()
                     ? ", went away"
                     : fmt::format(", {} of them went away", row.gone.size()));
}

std::string reach_text(const FunctionTrace& function, size_t top) {
  const std::vector<ReachRow>& rows = *function.reach;
  std::string text;
  for (size_t i = 0; i < rows.size() && i < top; ++i) {
    text += fmt::format("  {:<10}{:>10}  {}\n", i == 0 ? "reached by" : "",
                        number_text(rows[i].calls), reach_label(rows[i]));
    for (const std::string& frame : rows[i].frames)
      text += fmt::format("{:>26}{}\n", "", printable(frame));
  }
  if (rows.size() > top) text += fmt::format("            and {} others\n", rows.size() - top);
  if (function.data.counts.no_user != 0)
    text += fmt::format("            (of {} calls it could not be kept)\n",
                        number_text(function.data.counts.no_user));
  return text;
}

std::string function_text(const Trace& trace, const FunctionTrace& function,
                          const SymbolTable& symbols, size_t top) {
  const TraceTarget& target = function.target;
  const TraceData& data = function.data;
  std::string text = fmt::format("{} ({}){}\n", target.name, target.module,
                                 target.update.empty() ? "" : ", update " + target.update);
  if (!function.why_not.empty()) return text + fmt::format("  not traced: {}\n", function.why_not);
  text += calls_text(trace, function);
  if (data.counts.calls == 0) return text;
  text += bodies_text(function, trace.bodies_are_unsure);
  const bool are_two =
      data.latencies[TRACE_OLD].returned != 0 && data.latencies[TRACE_NEW].returned != 0;
  for (int body = 0; body < TRACE_BODIES; ++body)
    text += latency_text(data.latencies[body], are_two && !trace.bodies_are_unsure
                                                   ? fmt::format("time, {}", BodyNames[body])
                                                   : "time");
  if (returned(data) < data.counts.calls)
    text += fmt::format("            {} calls have not returned, or were not followed\n",
                        number_text(data.counts.calls - returned(data)));
  std::vector<Row> rows;
  for (const ResultRow& row : result_rows(function)) rows.push_back({row.text, row.calls});
  text += function.type.is_void ? "  returned  nothing (void)\n"
                                : list_text("returned", rows, top, data.counts.no_result);
  rows.clear();
  for (const ProcessRow& row : process_rows(data))
    rows.push_back({fmt::format("{} ({})", printable(row.name), row.pid), row.calls});
  text += list_text("processes", rows, top, data.counts.unlisted);
  if (function.tripwire) text += tripwire_text(trace, function, top);
  if (function.reach) text += reach_text(function, top);
  return text + stacks_text(function, symbols, top);
}

Json processes_json(const FunctionTrace& function, bool are_unsure) {
  Json list = Json::array();
  for (const ProcessRow& row : process_rows(function.data)) {
    list.push_back({{"pid", row.pid}, {"name", row.name}, {"calls", row.calls}});
    if (!are_unsure) list.back()["new_calls"] = row.new_calls;
    if (function.tripwire) list.back()["trips"] = row.trips;
  }
  return list;
}

Json results_json(const FunctionTrace& function, bool are_unsure) {
  Json list = Json::array();
  for (const ResultRow& row : result_rows(function)) {
    list.push_back({{"value", row.value}, {"meaning", row.text}, {"calls", row.calls}});
    if (!are_unsure) list.back()["new_calls"] = row.new_calls;
  }
  return list;
}

Json stacks_json(const FunctionTrace& function, const SymbolTable& symbols, bool are_unsure) {
  Json list = Json::array();
  for (const StackRow& row : stack_rows(function, symbols)) {
    list.push_back({{"calls", row.calls}, {"frames", row.frames}});
    if (!are_unsure) list.back()["new_calls"] = row.new_calls;
  }
  return list;
}

Json tripwire_json(const Trace& trace, const FunctionTrace& function) {
  const auto& [wire, log] = *function.tripwire;
  Json list = Json::array();
  for (const trace_event& event : log) {
    list.push_back({{"at_s", seconds_of(trace, event)},
                    {"pid", event.pid},
                    {"name", event_name(event)},
                    {"uid", event.uid},
                    {"values", Json::object()}});
    for (const auto& [operand, value] : compared_values(wire, event))
      list.back()["values"][operand] = value;
  }
  return {{"condition", wire.condition},
          {"calls", function.data.counts.trips},
          {"not_read", function.data.counts.unread},
          {"log", list}};
}

Json reach_json(const FunctionTrace& function, bool are_unsure) {
  Json list = Json::array();
  for (const ReachRow& row : *function.reach) {
    list.push_back({{"program", row.program},
                    {"calls", row.calls},
                    {"frames", row.frames},
                    {"pids", row.pids},
                    {"gone", row.gone},
                    {"in_kernel", row.is_thread},
                    {"in_interrupt", row.is_interrupt},
                    {"unread", row.is_unread}});
    if (!are_unsure) list.back()["new_calls"] = row.new_calls;
  }
  return list;
}

Json function_json(const Trace& trace, const FunctionTrace& function, const SymbolTable& symbols) {
  const bool are_unsure = trace.bodies_are_unsure;
  const TraceTarget& target = function.target;
  const trace_counts& counts = function.data.counts;
  Json new_addrs = Json::array();
  for (uint64_t addr : target.new_addrs) new_addrs.push_back(fmt::format("{:#x}", addr));
  Json json = {{"name", target.name},     {"target", target.module},
               {"update", target.update}, {"old", fmt::format("{:#x}", target.old_addr)},
               {"new", new_addrs},        {"not_traced", function.why_not},
               {"calls", counts.calls}};
  json["old_calls"] = are_unsure ? Json() : Json(counts.calls - counts.new_calls);
  json["new_calls"] = are_unsure ? Json() : Json(counts.new_calls);
  json["per_second"] = function.per_second;
  json["returned"] = returned(function.data);
  json["latency"] = Json::object();
  for (int body = 0; body < TRACE_BODIES; ++body)
    json["latency"][BodyNames[body]] = to_json(function.data.latencies[body]);
  json["returns"] = results_json(function, are_unsure);
  json["other_returns"] = counts.no_result;
  json["processes"] = processes_json(function, are_unsure);
  json["other_processes"] = counts.unlisted;
  json["stacks"] = stacks_json(function, symbols, are_unsure);
  json["stacks_looked_at"] = counts.stacks;
  json["stacks_not_kept"] = counts.no_stack;
  if (function.tripwire) json["tripwire"] = tripwire_json(trace, function);
  if (function.reach) json["reach"] = reach_json(function, are_unsure);
  if (function.reach) json["reach_not_kept"] = counts.no_user;
  return json;
}

}  // namespace

std::vector<std::string> callers(const std::vector<uint64_t>& frames, const TraceTarget& target,
                                 const SymbolTable& symbols) {
  auto is_own = [&](uint64_t addr) {
    const Kallsym* symbol = symbols.at(addr);
    if (symbol == nullptr) return false;
    return symbol->addr == target.old_addr ||
           std::find(target.new_addrs.begin(), target.new_addrs.end(), symbol->addr) !=
               target.new_addrs.end();
  };
  std::vector<std::string> texts;
  for (size_t i = 0; i < frames.size(); ++i)
    if (i != 0 || !is_own(frames[i])) texts.push_back(symbols.text(frames[i]));
  return texts;
}

std::string printable(std::string text) {
  for (char& c : text)
    if (c < ' ' || c > '~') c = '?';
  return text;
}

std::string time_text(uint64_t ns) {
  const double value = static_cast<double>(ns);
  if (ns < 1000) return fmt::format("{} ns", ns);
  if (ns < 1000'000) return fmt::format("{:.1f} us", value / 1e3);
  if (ns < 1000'000'000) return fmt::format("{:.1f} ms", value / 1e6);
  return fmt::format("{:.1f} s", value / 1e9);
}

std::string number_text(uint64_t value) {
  std::string text = std::to_string(value);
  for (size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string to_text(const Trace& trace, const SymbolTable& symbols, size_t top) {
  std::string text;
  for (const std::string& note : trace.notes) text += fmt::format("note: {}\n", note);
  for (const FunctionTrace& function : trace.functions)
    text += (text.empty() ? "" : "\n") + function_text(trace, function, symbols, top);
  return text;
}

Json to_json(const Trace& trace, const SymbolTable& symbols) {
  Json functions = Json::array();
  for (const FunctionTrace& function : trace.functions)
    functions.push_back(function_json(trace, function, symbols));
  return {{"seconds", trace.seconds},
          {"interrupted", trace.is_interrupted},
          {"bodies_unsure", trace.bodies_are_unsure},
          {"notes", trace.notes},
          {"functions", functions}};
}

}  // namespace ksplice
