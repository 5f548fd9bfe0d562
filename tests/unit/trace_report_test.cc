// What ksplice-trace makes of what was counted.
#include "apply/trace/report.h"

#include <gtest/gtest.h>

#include <cstring>

namespace ksplice {
namespace {

constexpr const char* Kallsyms =
    "ffffffff81000100 T tcp_v4_rcv\n"
    "ffffffff81000200 t ip_deliver\n"
    "ffffffff81000200 D some_data\n"
    "ffffffff81000300 t ip_rcv\n"
    "ffffffffc0001000 t ksplice_abc_tcp_v4_rcv\t[ksplice_abc_vmlinux]\n";

trace_process process(uint64_t calls, uint64_t new_calls, const char* name) {
  trace_process made = {calls, new_calls, 0, {}};
  std::strncpy(made.name, name, TRACE_NAME - 1);
  return made;
}

TraceTarget target(const char* name, const char* update, uint64_t old_addr) {
  TraceTarget made;
  made.name = name;
  made.module = "vmlinux";
  made.update = update;
  made.old_addr = old_addr;
  return made;
}

trace_latency latency(uint64_t returned, uint64_t total, uint64_t longest) {
  return {returned, total, longest, {}};
}

// Ten calls of a function, seven of them of the new body.
FunctionTrace example() {
  FunctionTrace function;
  function.target = target("tcp_v4_rcv", "abc", 0xffffffff81000100);
  function.target.new_addrs = {0xffffffffc0001000};
  function.type = {.is_known = true, .is_signed = true, .size = 4};
  function.per_second = {2, 8};
  TraceData& data = function.data;
  data.counts.calls = 10;
  data.counts.new_calls = 7;
  data.counts.stacks = 9;
  data.counts.no_stack = 1;
  data.latencies[TRACE_OLD] = latency(2, 3000, 2000);
  data.latencies[TRACE_OLD].buckets[9] = 1;
  data.latencies[TRACE_OLD].buckets[10] = 1;
  data.latencies[TRACE_NEW] = latency(7, 700, 127);
  data.latencies[TRACE_NEW].buckets[6] = 7;
  data.processes = {{0, process(4, 4, "swapper/0")}, {17, process(6, 3, "nginx")}};
  data.results[TRACE_OLD] = {{0, 1}, {-22, 1}};
  data.results[TRACE_NEW] = {{-22, 7}};
  data.stacks = {{{0xffffffff81000104, 0xffffffff81000210, 0xffffffff81000320}, 5, 3},
                 {{0xffffffffc0001004, 0xffffffff81000210, 0xffffffff81000320}, 3, 3}};
  return function;
}

Trace example_trace() {
  Trace trace;
  trace.seconds = 2;
  trace.functions = {example()};
  return trace;
}

TEST(TraceReport, SaysAllOfAFunction) {
  SymbolTable symbols(Kallsyms);
  EXPECT_EQ(to_text(example_trace(), symbols, 5),
            "tcp_v4_rcv (vmlinux), update abc\n"
            "  calls     10 in 2.0 s, 5 a second, at most 8 in one\n"
            "  bodies    3 calls of the old one, 7 of the new one\n"
            "  time, old 1.5 us on average, 2.0 us at most, of 2 calls\n"
            "              512 ns .. 1.0 us   |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@| 1\n"
            "              1.0 us .. 2.0 us   |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@| 1\n"
            "  time, new 100 ns on average, 127 ns at most, of 7 calls\n"
            "               64 ns .. 128 ns   |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@| 7\n"
            "            1 calls have not returned, or were not followed\n"
            "  returned           8  -22 (EINVAL)\n"
            "                     1  0\n"
            "  processes          6  nginx (17)\n"
            "                     4  swapper/0 (0)\n"
            "  callers            8  ip_deliver+0x10\n"
            "                        ip_rcv+0x20\n"
            "            (of 9 of the calls the stack was looked at)\n"
            "            (1 stacks could not be kept)\n");
}

TEST(TraceReport, CutsListsAndCountsTheRest) {
  SymbolTable symbols(Kallsyms);
  Trace trace = example_trace();
  trace.functions[0].data.counts.unlisted = 5;
  const std::string text = to_text(trace, symbols, 1);
  EXPECT_NE(text.find("  returned           8  -22 (EINVAL)\n"
                      "                     1  others\n"
                      "  processes          6  nginx (17)\n"
                      "                     9  others\n"),
            std::string::npos)
      << text;
}

TEST(TraceReport, ClaimsNothingOfBodiesThatChanged) {
  SymbolTable symbols(Kallsyms);
  Trace trace = example_trace();
  trace.bodies_are_unsure = true;
  const std::string text = to_text(trace, symbols, 5);
  EXPECT_NE(text.find("not told apart"), std::string::npos) << text;
  EXPECT_EQ(text.find("of the new one"), std::string::npos) << text;
  EXPECT_EQ(text.find("time, new"), std::string::npos) << text;
  const auto json = to_json(trace, symbols);
  EXPECT_TRUE(json["functions"][0]["old_calls"].is_null());
  EXPECT_FALSE(json["functions"][0]["processes"][0].contains("new_calls"));
}

TEST(TraceReport, JsonHasTheNumbers) {
  SymbolTable symbols(Kallsyms);
  const auto function = to_json(example_trace(), symbols)["functions"][0];
  EXPECT_EQ(function["old_calls"], 3);
  EXPECT_EQ(function["new_calls"], 7);
  EXPECT_EQ(function["returned"], 9);
  EXPECT_EQ(function["latency"]["new"]["histogram"].dump(),
            R"([{"from_ns":64,"below_ns":128,"calls":7}])");
  EXPECT_EQ(function["returns"][0].dump(),
            R"x({"value":-22,"meaning":"-22 (EINVAL)","calls":8,"new_calls":7})x");
  EXPECT_EQ(function["processes"][0].dump(),
            R"({"pid":17,"name":"nginx","calls":6,"new_calls":3})");
  EXPECT_EQ(function["stacks"].dump(),
            R"([{"calls":8,"frames":["ip_deliver+0x10","ip_rcv+0x20"],"new_calls":6}])");
}

TEST(TraceReport, AFunctionThatNobodyCallsIsOneLine) {
  SymbolTable symbols(Kallsyms);
  Trace trace;
  trace.seconds = 3;
  trace.notes = {"a note"};
  trace.functions.push_back({target("ip_rcv", "", 0xffffffff81000300), {}, {}, {}, {}});
  EXPECT_EQ(to_text(trace, symbols, 5),
            "note: a note\n\nip_rcv (vmlinux)\n  calls     0 in 3.0 s\n");
}

TEST(TraceReport, SaysWhyAFunctionIsNotTraced) {
  SymbolTable symbols(Kallsyms);
  Trace trace = example_trace();
  trace.functions[0].why_not = "no probe there";
  EXPECT_EQ(to_text(trace, symbols, 5),
            "tcp_v4_rcv (vmlinux), update abc\n  not traced: no probe there\n");
  EXPECT_EQ(to_json(trace, symbols)["functions"][0]["not_traced"], "no probe there");
}

TEST(TraceReport, SaysWhoMetTheCondition) {
  SymbolTable symbols(Kallsyms);
  Trace trace = example_trace();
  trace.begin_ns = 1'000'000'000;
  FunctionTrace& function = trace.functions[0];
  function.tripwire = {make_tripwire(nullptr, "f", "arg2 > 4096"), {}};
  trace_event event = {};
  event.pid = 17;
  event.uid = 33;
  event.time = 1'250'000'000;
  std::strcpy(event.name, "ng\nx");
  event.compared = 1;
  event.values[0] = 5000;
  function.tripwire->log = {event};
  function.data.counts.trips = 2;
  function.data.counts.unread = 3;
  function.data.processes[17].trips = 2;
  const std::string text = to_text(trace, symbols, 5);
  EXPECT_NE(text.find("  tripwire  2 calls met: arg2 > 4096\n"
                      "                     2  nginx (17)\n"
                      "            at 0.250 s ng?x (17) of user 33: arg2 = 5000\n"
                      "            (of 3 calls it could not be read)\n"),
            std::string::npos)
      << text;
  const auto json = to_json(trace, symbols)["functions"][0];
  EXPECT_EQ(json["tripwire"]["calls"], 2);
  EXPECT_EQ(json["tripwire"]["log"][0]["values"]["arg2"], "5000");
  EXPECT_EQ(json["processes"][0]["trips"], 2);
}

TEST(TraceReport, SaysWhichProgramsReachIt) {
  SymbolTable symbols(Kallsyms);
  Trace trace = example_trace();
  ReachRow program, gone, thread;
  program.program = "/bin/x";
  program.frames = {"read+0x1 [/lib/y]", "main+0x2 [/bin/x]"};
  program.pids = {7, 8};
  program.gone = {8};
  program.calls = 5;
  gone.program = "y";
  gone.pids = gone.gone = {9};
  gone.is_unread = true;
  gone.calls = 2;
  thread.program = "kworker";
  thread.pids = {3};
  thread.is_thread = thread.is_interrupt = true;
  thread.calls = 1;
  trace.functions[0].reach = {program, gone, thread};
  const std::string text = to_text(trace, symbols, 5);
  EXPECT_NE(text.find("  reached by         5  /bin/x (2 processes), 1 of them went away\n"
                      "                          read+0x1 [/lib/y]\n"
                      "                          main+0x2 [/bin/x]\n"
                      "                     2  y (9), went away before it could be looked at\n"
                      "                     1  kworker (3), in an interrupt, in the kernel\n"),
            std::string::npos)
      << text;
  const auto json = to_json(trace, symbols)["functions"][0]["reach"];
  EXPECT_EQ(json[0]["gone"].dump(), "[8]");
  EXPECT_EQ(json[1]["unread"], true);
}

TEST(TraceReport, Times) {
  EXPECT_EQ(time_text(999), "999 ns");
  EXPECT_EQ(time_text(1500), "1.5 us");
  EXPECT_EQ(time_text(32'800'000), "32.8 ms");
  EXPECT_EQ(time_text(4'300'000'000), "4.3 s");
}

TEST(TraceSession, SumsTheProcessors) {
  trace_counts first = {}, second = {};
  first.calls = 1;
  first.new_calls = 2;
  second.calls = 3;
  second.stacks = 4;
  const trace_counts counts = sum(std::vector<trace_counts>{first, second});
  EXPECT_EQ(counts.calls, 4u);
  EXPECT_EQ(counts.new_calls, 2u);
  EXPECT_EQ(counts.stacks, 4u);
  trace_latency one = latency(1, 5, 5), two = latency(1, 7, 7);
  one.buckets[2] = 1;
  two.buckets[2] = 1;
  const trace_latency both_times = sum(std::vector<trace_latency>{one, two});
  EXPECT_EQ(both_times.returned, 2u);
  EXPECT_EQ(both_times.total, 12u);
  EXPECT_EQ(both_times.longest, 7u);
  EXPECT_EQ(both_times.buckets[2], 2u);
  const trace_process both =
      sum(std::vector<trace_process>{process(0, 0, ""), process(2, 1, "cat")});
  EXPECT_EQ(both.calls, 2u);
  EXPECT_STREQ(both.name, "cat");
}

TEST(SymbolTable, FindsByNameAndAddress) {
  SymbolTable symbols(
      "ffffffff81000300 t twice\n"
      "ffffffff81000100 t twice\n"
      "ffffffff81000100 t twice\n"
      "ffffffff81000200 t part.isra.0\n"
      "ffffffff81000280 t part.cold\n"
      "ffffffffc0000000 t twice\t[ext4]\n");
  EXPECT_EQ(symbols.find("twice").size(), 3u);
  EXPECT_EQ(symbols.find("twice", "vmlinux").size(), 2u);
  EXPECT_EQ(symbols.find("twice", "ext4").size(), 1u);
  ASSERT_EQ(symbols.find_parts("part").size(), 1u);
  EXPECT_EQ(symbols.find_parts("part")[0].name, "part.isra.0");
  EXPECT_EQ(symbols.text(0xffffffff81000104), "twice+0x4");
  EXPECT_EQ(symbols.text(0xffffffffc0000004), "twice+0x4 [ext4]");
  EXPECT_EQ(symbols.text(0x1000), "0x1000");
  EXPECT_FALSE(symbols.is_hidden());
  EXPECT_TRUE(SymbolTable("0000000000000000 T _text\n0000000000000000 t f\n").is_hidden());
}

}  // namespace
}  // namespace ksplice
