// What a trace found, as text for people and as JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apply/trace/reach.h"
#include "apply/trace/session.h"
#include "apply/trace/tripwire.h"

namespace ksplice {

// The calls that met a condition; of the first ones each.
struct TripwireTrace {
  Tripwire wire;
  std::vector<trace_event> log;
};

struct FunctionTrace {
  TraceTarget target;
  ResultType type;
  TraceData data;
  std::vector<uint64_t> per_second;  // calls in each whole second
  std::string why_not;               // it was not traced; or empty
  std::optional<TripwireTrace> tripwire = {};
  std::optional<std::vector<ReachRow>> reach = {};
};

struct Trace {
  double seconds = 0;
  uint64_t begin_ns = 0;           // CLOCK_MONOTONIC
  bool is_interrupted = false;     // it was to take longer
  bool bodies_are_unsure = false;  // an update was applied or undone meanwhile
  std::vector<std::string> notes;
  std::vector<FunctionTrace> functions;
};

// top: rows of each list.
std::string to_text(const Trace& trace, const SymbolTable& symbols, size_t top);
nlohmann::ordered_json to_json(const Trace& trace, const SymbolTable& symbols);

// Where the call came from: the frames above the function's own, innermost first.
std::vector<std::string> callers(const std::vector<uint64_t>& frames, const TraceTarget& target,
                                 const SymbolTable& symbols);

// A process names itself, and the text may go to a terminal.
std::string printable(std::string text);

// "873 ns", "1.5 us", "32.8 ms", "4.3 s".
std::string time_text(uint64_t ns);
// "1234567" as "1,234,567".
std::string number_text(uint64_t value);

// The times that a bucket of a histogram holds, in ns: from begin, and below end.
inline uint64_t bucket_begin(size_t bucket) { return bucket == 0 ? 0 : uint64_t{1} << bucket; }
inline uint64_t bucket_end(size_t bucket) { return uint64_t{2} << bucket; }

}  // namespace ksplice
