// Two traces side by side.
#include "apply/trace/compare.h"

#include <gtest/gtest.h>

namespace ksplice {
namespace {

FunctionTrace function(uint64_t calls, uint64_t new_calls) {
  FunctionTrace made;
  made.target.name = "tcp_v4_rcv";
  made.target.module = "vmlinux";
  made.target.old_addr = 0xffffffff81000100;
  made.data.counts.calls = calls;
  made.data.counts.new_calls = new_calls;
  return made;
}

// 1,000 calls of the old code; then one of the old and three of the new one, which takes longer.
Comparison example() {
  Comparison made;
  made.id = "abc";
  made.before.seconds = made.after.seconds = 2;
  made.before.functions = {function(1000, 0)};
  made.after.functions = {function(4, 3)};
  trace_latency& before = made.before.functions[0].data.latencies[TRACE_OLD];
  before.returned = 1000;
  before.total = 100'000;
  before.longest = 120;
  before.buckets[6] = 1000;
  trace_latency* after = made.after.functions[0].data.latencies;
  after[TRACE_OLD].returned = 1;
  after[TRACE_OLD].total = 100;
  after[TRACE_OLD].longest = 100;
  after[TRACE_OLD].buckets[6] = 1;
  after[TRACE_NEW].returned = 3;
  after[TRACE_NEW].total = 900;
  after[TRACE_NEW].longest = 400;
  after[TRACE_NEW].buckets[8] = 3;
  return made;
}

TEST(TraceCompare, SideBySide) {
  EXPECT_EQ(to_text(example()),
            "update abc: before, and after it was applied\n"
            "\n"
            "tcp_v4_rcv (vmlinux)\n"
            "                                            before                         after\n"
            "  calls                                      1,000                             4\n"
            "  a second                                     500                             2\n"
            "  of the new code                                0                             3\n"
            "  time on average                           100 ns                        250 ns\n"
            "  at most                                   120 ns                        400 ns\n"
            "     64 ns .. 128 ns   |@@@@@@@@@@@@@@@@@@@@|100.0 %|@@@@@               | 25.0 %\n"
            "    128 ns .. 256 ns   |                    |  0.0 %|                    |  0.0 %\n"
            "    256 ns .. 512 ns   |                    |  0.0 %|@@@@@@@@@@@@@@@     | 75.0 %\n");
}

TEST(TraceCompare, AFunctionThatWasNotCalledAndAnUndo) {
  Comparison comparison = example();
  comparison.is_undo = true;
  comparison.after.functions[0].data = {};
  const std::string text = to_text(comparison);
  EXPECT_NE(text.find("after it was undone"), std::string::npos) << text;
  EXPECT_NE(text.find("|100.0 %|                    |  0.0 %"), std::string::npos) << text;
  comparison.after.bodies_are_unsure = true;
  EXPECT_NE(to_text(comparison).find("not told apart"), std::string::npos);
}

TEST(TraceCompare, SaysWhatCtrlCLeft) {
  Comparison comparison = example();
  comparison.after.seconds = 0.5;
  comparison.after.is_interrupted = true;
  EXPECT_NE(
      to_text(comparison)
          .find("\nnote: Ctrl-C ended the part after it at 0.5 s; the update stays applied\n"),
      std::string::npos)
      << to_text(comparison);
}

TEST(TraceCompare, Json) {
  const SymbolTable symbols("ffffffff81000100 T tcp_v4_rcv\n");
  const auto json = to_json(example(), symbols);
  EXPECT_EQ(json["id"], "abc");
  EXPECT_EQ(json["change"], "applied");
  EXPECT_EQ(json["before"]["functions"][0]["calls"], 1000);
  EXPECT_EQ(json["after"]["functions"][0]["new_calls"], 3);
}

}  // namespace
}  // namespace ksplice
