// Counting in the kernel: BPF programs (trace.bpf.c) at kprobes, loaded by libbpf. All of it hangs
// on descriptors of this process: whatever ends it takes the probes away.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apply/trace/result_type.h"
#include "apply/trace/targets.h"
#include "apply/trace/trace_abi.h"

namespace ksplice {

struct TraceStack {
  std::vector<uint64_t> frames;  // innermost first
  uint64_t calls = 0, new_calls = 0;
};

// Calls of one process that came from one place in it.
struct TraceUser {
  uint32_t pid = 0;
  std::vector<uint64_t> frames;  // of the process; empty: a thread of the kernel
  std::vector<uint64_t> kernel;  // of the kernel, empty if they could not be kept
  uint64_t calls = 0, new_calls = 0;
};

// What was counted of one function; of all processors together.
struct TraceData {
  trace_counts counts = {};
  trace_latency latencies[TRACE_BODIES] = {};
  std::map<uint32_t, trace_process> processes;        // by pid
  std::map<int64_t, uint64_t> results[TRACE_BODIES];  // calls by value
  std::vector<TraceStack> stacks;
  std::vector<TraceUser> users;
};

// The sums of one map entry's copies, one of each processor.
trace_counts sum(const std::vector<trace_counts>& copies);
trace_latency sum(const std::vector<trace_latency>& copies);
trace_process sum(const std::vector<trace_process>& copies);
trace_stack sum(const std::vector<trace_stack>& copies);

struct TraceOptions {
  bool users = false;                                     // count user stacks, too
  std::map<size_t, trace_tripwire> tripwires;             // by target
  std::function<void(const trace_event&)> on_event = {};  // called by wait()
};

class TraceSession {
 public:
  // Attaches to the targets; types are those of their results. Throws Error: no_bpf, and
  // cannot_trace if it can attach to none.
  TraceSession(const std::vector<TraceTarget>& targets, const std::vector<ResultType>& types,
               TraceOptions options = {});
  TraceSession(const TraceSession&) = delete;
  TraceSession& operator=(const TraceSession&) = delete;
  ~TraceSession();

  // Calls count only while this is on; at first it is off.
  void count(bool on);
  // Waits so long, and tells of what came meanwhile, and of what had come before.
  void wait(int milliseconds);
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
