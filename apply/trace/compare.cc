#include "apply/trace/compare.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace ksplice {

namespace {

constexpr uint64_t BarWidth = 20;

// One function in one of the traces, old and new code together.
struct Side {
  trace_latency latency = {};
  uint64_t calls = 0, new_calls = 0, per_second = 0;
  bool bodies_are_unsure = false;
};

Side side_of(const Trace& trace, uint64_t old_addr) {
  Side side;
  side.bodies_are_unsure = trace.bodies_are_unsure;
  auto found =
      std::find_if(trace.functions.begin(), trace.functions.end(),
                   [&](const FunctionTrace& each) { return each.target.old_addr == old_addr; });
  if (found == trace.functions.end()) return side;
  const TraceData& data = found->data;
  side.latency =
      sum(std::vector<trace_latency>{data.latencies[TRACE_OLD], data.latencies[TRACE_NEW]});
  side.calls = data.counts.calls;
  side.new_calls = data.counts.new_calls;
  if (trace.seconds > 0)
    side.per_second =
        static_cast<uint64_t>(std::llround(static_cast<double>(side.calls) / trace.seconds));
  return side;
}

std::string row(const std::string& label, const std::string& before, const std::string& after) {
  return fmt::format("  {:<20}{:>28}{:>30}\n", label, before, after);
}

std::string average(const Side& side) {
  return side.latency.returned == 0 ? "-" : time_text(side.latency.total / side.latency.returned);
}

std::string longest(const Side& side) {
  return side.latency.returned == 0 ? "-" : time_text(side.latency.longest);
}

std::string new_code(const Side& side) {
  return side.bodies_are_unsure ? "not told apart" : number_text(side.new_calls);
}

// The part of a side's calls that took so long: the sides may differ in their numbers.
std::string bar(const Side& side, size_t bucket) {
  const uint64_t calls = side.latency.buckets[bucket];
  const double part = side.latency.returned == 0
                          ? 0
                          : static_cast<double>(calls) / static_cast<double>(side.latency.returned);
  const size_t width = static_cast<size_t>(std::ceil(part * BarWidth));
  return fmt::format("|{:<{}}|{:>5.1f} %", std::string(width, '@'), BarWidth, part * 100);
}

std::string histogram(const Side& before, const Side& after) {
  auto is_used = [&](size_t i) {
    return before.latency.buckets[i] != 0 || after.latency.buckets[i] != 0;
  };
  size_t first = 0, last = TRACE_BUCKETS;
  while (first < last && !is_used(first)) ++first;
  while (last > first && !is_used(last - 1)) --last;
  std::string text;
  for (size_t i = first; i < last; ++i)
    text += fmt::format("  {:>8} .. {:<9}{}{}\n", time_text(bucket_begin(i)),
                        time_text(bucket_end(i)), bar(before, i), bar(after, i));
  return text;
}

// Why nothing is known of the time after the change; empty if something is.
std::string untraced_after(const Comparison& comparison, uint64_t addr) {
  for (const FunctionTrace& function : comparison.after.functions)
    if (function.target.old_addr == addr) return function.why_not;
  return "it is not there";
}

}  // namespace

std::string to_text(const Comparison& comparison) {
  std::string text = fmt::format("update {}: before, and after it was {}\n", comparison.id,
                                 comparison.is_undo ? "undone" : "applied");
  for (const std::string& note : comparison.before.notes) text += fmt::format("note: {}\n", note);
  if (comparison.after.is_interrupted)
    text += fmt::format("note: Ctrl-C ended the part after it at {:.1f} s; the update stays {}\n",
                        comparison.after.seconds, comparison.is_undo ? "undone" : "applied");
  for (const FunctionTrace& function : comparison.before.functions) {
    const TraceTarget& target = function.target;
    const Side before = side_of(comparison.before, target.old_addr);
    const Side after = side_of(comparison.after, target.old_addr);
    text += fmt::format("\n{} ({})\n", target.name, target.module);
    if (!function.why_not.empty()) {
      text += fmt::format("  not traced: {}\n", function.why_not);
      continue;
    }
    if (const std::string why = untraced_after(comparison, target.old_addr); !why.empty()) {
      text += fmt::format("  not traced after: {}\n", why);
      continue;
    }
    text += row("", "before", "after");
    text += row("calls", number_text(before.calls), number_text(after.calls));
    text += row("a second", number_text(before.per_second), number_text(after.per_second));
    text += row("of the new code", new_code(before), new_code(after));
    text += row("time on average", average(before), average(after));
    text += row("at most", longest(before), longest(after));
    text += histogram(before, after);
  }
  return text;
}

nlohmann::ordered_json to_json(const Comparison& comparison, const SymbolTable& symbols) {
  return {{"id", comparison.id},
          {"change", comparison.is_undo ? "undone" : "applied"},
          {"before", to_json(comparison.before, symbols)},
          {"after", to_json(comparison.after, symbols)}};
}

}  // namespace ksplice
