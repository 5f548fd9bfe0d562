// Counting in the kernel: BPF programs (trace.bpf.c) at kprobes, loaded by libbpf. All of it hangs
// on descriptors of this process: whatever ends it takes the probes away.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apply/trace/result_type.h"
#include "apply/trace/targets.h"
#include "apply/trace/trace_abi.h"

namespace ksplice {

// What was counted of one function; of all processors together.
struct TraceData {
  trace_counts counts = {};
  trace_latency latencies[TRACE_BODIES] = {};
  std::map<uint32_t, trace_process> processes;                     // by pid
  std::map<int64_t, uint64_t> results[TRACE_BODIES];               // calls by value
  std::vector<std::pair<std::vector<uint64_t>, uint64_t>> stacks;  // frames, innermost first; calls
};

// The sums of one map entry's copies, one of each processor.
trace_counts sum(const std::vector<trace_counts>& copies);
trace_latency sum(const std::vector<trace_latency>& copies);
trace_process sum(const std::vector<trace_process>& copies);

class TraceSession {
 public:
  // Attaches to the targets; types are those of their results. Throws Error: no_bpf, and
  // cannot_trace if it can attach to none.
  TraceSession(const std::vector<TraceTarget>& targets, const std::vector<ResultType>& types);
  TraceSession(const TraceSession&) = delete;
  TraceSession& operator=(const TraceSession&) = delete;
  ~TraceSession();

  // Calls count only while this is on; at first it is off.
  void count(bool on);
  // Why a target is not traced; empty if it is.
  const std::string& why_not(size_t target) const;
  std::vector<uint64_t> calls() const;  // so far, of each target
  void detach();                        // what was counted stays
  std::vector<TraceData> read() const;  // of each target

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace ksplice
