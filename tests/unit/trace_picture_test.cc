// The picture of a trace: what is drawn, and that it is XML whatever the names are.
#include "apply/trace/picture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

namespace ksplice {
namespace {

constexpr const char* Kallsyms =
    "ffffffff81000100 T tcp_v4_rcv\n"
    "ffffffff81000200 t ip_deliver\n"
    "ffffffff81000300 t ip_rcv\n"
    "ffffffffc0002000 t other\t[ext4]\n";

// 8 calls of the old code from two places of ip_deliver, 4 of the new one from a module.
Trace example() {
  Trace trace;
  trace.seconds = 2;
  FunctionTrace function;
  function.target.name = "tcp_v4_rcv";
  function.target.module = "vmlinux";
  function.target.update = "abc";
  function.target.old_addr = 0xffffffff81000100;
  TraceData& data = function.data;
  data.counts.calls = 12;
  data.counts.new_calls = 4;
  data.latencies[TRACE_OLD].returned = 8;
  data.latencies[TRACE_OLD].total = 800;
  data.latencies[TRACE_OLD].buckets[6] = 6;
  data.latencies[TRACE_OLD].buckets[8] = 2;
  data.latencies[TRACE_NEW].returned = 4;
  data.latencies[TRACE_NEW].total = 8000;
  data.latencies[TRACE_NEW].buckets[10] = 4;
  data.stacks = {{{0xffffffff81000100, 0xffffffff81000210, 0xffffffff81000320}, 5},
                 {{0xffffffff81000100, 0xffffffff81000220, 0xffffffff81000320}, 3},
                 {{0xffffffff81000100, 0xffffffffc0002010, 0xffffffff81000320}, 4, 4}};
  trace.functions = {function};
  return trace;
}

std::string draw(const Trace& trace, const std::string& title = "a trace") {
  return to_svg({{title, trace}}, SymbolTable(Kallsyms));
}

// Every tag is closed by its own; the text between is no tag.
bool is_well_formed(const std::string& svg) {
  static const std::regex Tag("<(/?)([a-z?!]+)((?:[^>\"]|\"[^\"<]*\")*)>");
  std::vector<std::string> open;
  for (auto at = std::sregex_iterator(svg.begin(), svg.end(), Tag); at != std::sregex_iterator();
       ++at) {
    const std::string name = (*at)[2], rest = (*at)[3];
    if (name == "?xml" || rest.ends_with('/')) continue;
    if ((*at)[1].length() == 0) {
      open.push_back(name);
    } else {
      if (open.empty() || open.back() != name) return false;
      open.pop_back();
    }
  }
  return open.empty() && std::count(svg.begin(), svg.end(), '<') ==
                             std::distance(std::sregex_iterator(svg.begin(), svg.end(), Tag), {});
}

// The width of the cell with that title.
double width_of(const std::string& svg, const std::string& title) {
  const std::regex cell("<title>" + title + "</title><rect [^>]* width=\"([0-9.]+)\"");
  std::smatch found;
  return std::regex_search(svg, found, cell) ? std::stod(found[1]) : 0;
}

TEST(TracePicture, OldAndNewCodeApart) {
  const std::string svg = draw(example());
  EXPECT_TRUE(is_well_formed(svg)) << svg;
  for (const char* wanted :
       {"tcp_v4_rcv (vmlinux), update abc",
        "12 calls in 2.0 s: 8 of the old code, 4 of the new code", "time, old: 100 ns on average",
        "time, new: 2.0 us on average", ">75.0 % (6)<", ">100.0 % (4)<",
        "callers of the old code: stacks of 8 calls", "callers of the new code: stacks of 4 calls",
        "<title>other [ext4]: 4 calls, 100.0 %</title>"})
    EXPECT_NE(svg.find(wanted), std::string::npos) << wanted << "\n" << svg;
  // Two places of one caller are one cell, as wide as all.
  const double all = width_of(svg, "all: 8 calls, 100.0 %");
  EXPECT_GT(all, 1000);
  EXPECT_DOUBLE_EQ(width_of(svg, "ip_deliver: 8 calls, 100.0 %"), all);
  // It lies below what it called.
  auto top_of = [&](const std::string& name) {
    std::smatch found;
    const std::regex cell("<title>" + name + "[^<]*</title><rect x=\"[0-9.]+\" y=\"([0-9.]+)\"");
    return std::regex_search(svg, found, cell) ? std::stod(found[1]) : 0;
  };
  EXPECT_LT(top_of("tcp_v4_rcv"), top_of("ip_deliver"));
  EXPECT_LT(top_of("ip_deliver"), top_of("ip_rcv"));
}

TEST(TracePicture, WidthsAreCalls) {
  Trace trace = example();
  trace.functions[0].data.stacks[1].frames[1] = 0xffffffff81000300;
  const std::string svg = draw(trace);
  const double all = width_of(svg, "all: 8 calls, 100.0 %");
  EXPECT_NEAR(width_of(svg, "ip_deliver: 5 calls, 62.5 %"), all * 5 / 8, 0.02);
}

TEST(TracePicture, ClaimsNothingOfBodiesThatChanged) {
  Trace trace = example();
  trace.bodies_are_unsure = true;
  const std::string svg = draw(trace);
  EXPECT_NE(svg.find(">callers: stacks of 12 calls<"), std::string::npos) << svg;
  EXPECT_NE(svg.find("not told apart"), std::string::npos);
  EXPECT_EQ(svg.find("of the new code"), std::string::npos);
  EXPECT_EQ(svg.find("time, new"), std::string::npos);
}

TEST(TracePicture, NamesAreText) {
  Trace trace = example();
  trace.notes = {"<script>alert(\"x\")</script> & \x01\xff"};
  trace.functions[0].target.name = "a<b>&\"c";
  const std::string svg = draw(trace, "</title>");
  EXPECT_TRUE(is_well_formed(svg)) << svg;
  EXPECT_EQ(svg.find("<script"), std::string::npos);
  EXPECT_NE(svg.find("a&lt;b&gt;&amp;&quot;c (vmlinux)"), std::string::npos) << svg;
}

TEST(TracePicture, NothingFromElsewhere) {
  const std::string svg = draw(example());
  EXPECT_EQ(svg.find("href"), std::string::npos);
  EXPECT_EQ(svg.find("url("), std::string::npos);
}

TEST(TracePicture, WithoutCalls) {
  Trace trace = example();
  trace.functions[0].data = {};
  trace.functions.push_back(trace.functions[0]);
  trace.functions[1].why_not = "no probe there";
  const std::string svg = draw(trace);
  EXPECT_TRUE(is_well_formed(svg)) << svg;
  EXPECT_NE(svg.find("0 calls in 2.0 s"), std::string::npos);
  EXPECT_NE(svg.find("not traced: no probe there"), std::string::npos);
  EXPECT_EQ(svg.find("callers"), std::string::npos);
}

}  // namespace
}  // namespace ksplice
