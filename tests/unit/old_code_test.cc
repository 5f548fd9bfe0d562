// Old code that can still run after the switch, and what start code and its freed memory are for a
// patch.
#include "objdiff/diff/old_code.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/unit/update_samples.h"

namespace ksplice {
namespace {

using namespace test;

const std::string Head =
    "#define init __attribute__((section(\".init.text\"), cold, __noinline__))\n"
    "#define noinline __attribute__((noinline))\n"
    "#define noipa __attribute__((noipa))\n"
    "extern int exported(const char*, ...);\nextern int hidden(int);\n";

const FunctionDiff& function(const Made& made, const std::string& name) {
  static const FunctionDiff none;
  for (const FunctionDiff& each : made.diff.functions)
    if (each.name == name) return each;
  ADD_FAILURE() << "no function " << name;
  return none;
}

std::string refused(const Made& made) {
  std::string text;
  for (const Refusal& refusal : made.diff.refusals)
    text += refusal.code + " " + refusal.symbol + "\n";
  for (const Refusal& refusal : made.update.refusals)
    text += refusal.code + " " + refusal.symbol + "\n";
  return text;
}

bool has_run(const Made& made, const std::string& name) {
  const auto& symbols = made.update.finalization.symbols;
  return std::ranges::any_of(symbols, [&](const FinalSymbol& each) { return each.name == name; });
}

// One who waits in old work() returns to old work(), which goes on to finish(); and its caller left
// by a jump, so that no frame is in what is replaced.
TEST(OldCode, WhatThePatchTakesAwayMustBeOffEveryStack) {
  const Made made =
      make(Head +
               "static noipa int finish(int d, int* out) { return *out = hidden(d); }\n"
               "static noipa int work_locked(int d, int* out) { hidden(d); return finish(d, out) + "
               "1; }\n"
               "int target(int d) { int out; exported(\"\"); return work_locked(d, &out); }\n",
           Head +
               "static noipa int finish(int d) { return hidden(d); }\n"
               "static noipa int work(int d) { hidden(d); return finish(d) + 1; }\n"
               "int target(int d) { exported(\"\"); return work(d); }\n");
  EXPECT_EQ(refused(made), "");
  EXPECT_EQ(function(made, "work").status, DiffStatus::Removed);
  EXPECT_TRUE(has_run(made, "work"));
  EXPECT_TRUE(has_run(made, "finish"));
}

std::string with_work(const std::string& work, const std::string& parameter,
                      const std::string& set) {
  return Head + "static noipa int finish(int d" + parameter + ") { return hidden(d) + 1" +
         (parameter.empty() ? "" : " + more") + "; }\n" + "static noipa int " + work +
         "(int d) { hidden(d); return finish(d" + (parameter.empty() ? "" : ", 3") + ") + 1; }\n" +
         "int (*callback)(int);\n" + "int target(int d) { callback = " + work +
         "; return exported(\"\")" + set + "; }\n";
}

TEST(OldCode, WhatIsHeldMayNotCallWhatTakesOtherParameters) {
  const Made made = make(with_work("new_work", ", int more", ""), with_work("old_work", "", ""));
  EXPECT_EQ(refused(made), "old_caller old_work\n");
  const Made same = make(with_work("new_work", "", ""), with_work("old_work", "", ""));
  EXPECT_EQ(refused(same), "");
  EXPECT_TRUE(std::ranges::any_of(same.diff.notes, [](const std::string& note) {
    return note.starts_with("old_work is gone; what holds its address");
  }));
  const Made kept = make(with_work("old_work", ", int more", ""), with_work("old_work", "", ""));
  EXPECT_EQ(refused(kept), "");
}

TEST(OldCode, StartCodeThatIsLeftOutTellsWhatItWouldCallWrongly) {
  auto source = [](const std::string& parameter, const std::string& argument, int number) {
    return Head + "static noipa int reset(int d" + parameter + ") { return hidden(d) + " +
           std::to_string(number) + (parameter.empty() ? "" : " + more") + "; }\n" +
           "static init noipa int part(int d) { return reset(d" + argument + ") + 1; }\n" +
           "int init start(int d) { exported(\"" + argument + "\"); return part(d); }\n" +
           "int target(int d) { return reset(d" + argument + "); }\n";
  };
  const Made made = make(source(", int more", ", 1", 3), source("", "", 3));
  EXPECT_EQ(function(made, "start").misled, "reset");
  EXPECT_EQ(function(made, "part").misled, "reset");
  EXPECT_EQ(function(made, "target").misled, "");
  const Made other = make(source("", "", 4), source("", "", 3));
  EXPECT_EQ(function(other, "start").misled, "");
}

// The compiler decides what it hands to its copies of a function.
TEST(OldCode, ACopyThatTheCompilerMadeHasParametersOfItsOwn) {
  auto source = [](const std::string& value, const std::string& more) {
    return Head + "static noinline int set(int a, int b) { return hidden(a) + b * " + value +
           "; }\n" + "int init start(int d) { return set(d" + more + ", " + value + "); }\n" +
           "int target(int d) { return set(d + 1, " + value + "); }\n";
  };
  const Made made = make(source("7", " + 2"), source("5", ""));
  EXPECT_TRUE(function(made, "start").misled.starts_with("set.constprop"));
  // What stays as it is was compiled with what there is now.
  EXPECT_EQ(function(make(source("7", ""), source("5", "")), "start").misled, "");
}

TEST(OldCode, WhatOnlyStartCodeCallsHasRun) {
  auto source = [](int number, const std::string& more) {
    return Head + "int value;\nstatic noipa int setup(int d) { value = " + std::to_string(number) +
           "; return hidden(d); }\n" + "static noipa int step(int d) { return setup(d) + 1; }\n" +
           "int init start(int d) { return step(d); }\n" + more;
  };
  EXPECT_TRUE(function(make(source(2, ""), source(1, "")), "setup").start_only);
  const std::string caller = "int target(int d) { return setup(d); }\n";
  EXPECT_FALSE(function(make(source(2, caller), source(1, caller)), "setup").start_only);
  const std::string holder = "int (*callback)(int) = step;\n";
  EXPECT_FALSE(function(make(source(2, holder), source(1, holder)), "setup").start_only);
  const std::string exit =
      "__attribute__((section(\".exit.text\"))) int end(int d) { return setup(d); }\n";
  EXPECT_FALSE(function(make(source(2, exit), source(1, exit)), "setup").start_only);
}

// The memory of the old one is freed.
TEST(OldCode, AFunctionThatIsToStayIsBroughtAlong) {
  auto source = [](const std::string& where, const std::string& check) {
    return Head + "int value;\nstatic " + where + " noipa void helper(int x) { value = x; }\n" +
           "int target(int x) { " + check + "helper(x); return hidden(x); }\n" +
           "int init start(int x) { helper(x); return 0; }\n"
           "struct setup { const char* name; void (*function)(int); };\n"
           "static const struct setup setup_helper __attribute__((used, section(\".init.setup\"))) "
           "= "
           "{\"helper=\", helper};\n";
  };
  const Made made = make(source("", "if (x < 0) return -22; "), source("init", ""));
  EXPECT_EQ(refused(made), "");
  EXPECT_EQ(made.update.added, std::vector<std::string>{"helper"});
  // What has run called the one that is freed.
  EXPECT_EQ(function(made, "start").status, DiffStatus::Same);
  // Also where the caller is as it was, but for what it calls.
  const Made alone = make(source("", ""), source("init", ""));
  EXPECT_EQ(alone.update.replaced, std::vector<std::string>{"target"});
}

}  // namespace
}  // namespace ksplice
