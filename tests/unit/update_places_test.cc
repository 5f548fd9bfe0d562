// Which thing of the running kernel a reference of new code means, where the object or a name alone
// does not tell.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/unit/update_samples.h"

namespace ksplice {
namespace {

using namespace test;

// Of the first refusal, or "".
std::string code(const Made& made) {
  return made.update.refusals.empty() ? "" : made.update.refusals.front().code;
}

bool has_final(const Made& made, const std::string& name) {
  const auto& symbols = made.update.finalization.symbols;
  return std::ranges::any_of(symbols, [&](const FinalSymbol& each) { return each.name == name; });
}

// Variables of one section, as __read_mostly makes them; first, middle and last are declarations.
std::string loops(const std::string& middle, const std::string& change,
                  const std::string& last = "static int last[4] HERE = {9, 10, 11, 12};\n") {
  return "#define HERE __attribute__((section(\".data..read_mostly\")))\n"
         "extern int exported(const char*, ...);\n"
         "static int first[3 + 1] HERE = {1, 2, 3, 4};\n" +
         middle + last + "int target(unsigned long i) {\n  int s = 0;\n" + change +
         "  for (int* p = first; p < first + 4; p++) s += exported(\"\", *p);\n"
         "  first[i & 3]++;\n  return s + last[i & 3]++;\n}\n";
}

TEST(UpdatePlaces, EndOfAnArrayIsNotTheBeginOfWhatThePatchPutsThere) {
  const std::string pre = loops("", "");
  Made made = make(loops("static int added[4] HERE = {5, 6, 7, 8};\n", "  added[i & 3]++;\n"), pre);
  EXPECT_EQ(code(made), "unnamed_data");
  // Nor what is there once another is taken away.
  const std::string more =
      loops("static int gone[4] HERE = {5, 6, 7, 8};\n", "  s = gone[i & 3]++;\n");
  EXPECT_EQ(code(make(pre, more)), "unnamed_data");
}

TEST(UpdatePlaces, EndOfAnArrayMayBeTheBeginOfTheNextThatWasThereBefore) {
  Made made = make(loops("", "  s = i > 7;\n"), loops("", ""));
  EXPECT_EQ(code(made), "");
  EXPECT_EQ(made.update.replaced, std::vector<std::string>{"target"});
}

TEST(UpdatePlaces, FillingBehindAnArrayIsItsEnd) {
  const std::string wide =
      "static int pad[3] HERE = {1, 2, 3};\nstatic long wide HERE __attribute__((aligned(64))) = "
      "5;\n";
  const std::string use =
      "  for (int* p = pad; p < pad + 3; p++) s += exported(\"\", *p) + wide++;\n";
  Made made = make(loops(wide, use + "  s = i > 7 ? s + 1 : s;\n"), loops(wide, use));
  EXPECT_EQ(code(made), "");
}

TEST(UpdatePlaces, WhatIsReadThereIsTheNextOne) {
  const std::string next = "static int last HERE = 9;\n#define last (&last)\n";
  Made made =
      make(loops("static int added HERE = 5;\n", "  s = added++;\n", next), loops("", "", next));
  for (const Refusal& refusal : made.update.refusals)
    EXPECT_EQ(refusal.symbol, "added") << refusal.message;
}

// An operations table of which nothing but other data tells the address, and whose name others
// have, too.
std::string driver(const std::string& check, const std::string& name) {
  return "extern int exported(const char*, ...);\n"
         "struct ops { int (*open)(const struct ops**); };\n"
         "static int " +
         name + "_open(const struct ops** file) { return exported(\"\", file, " +
         std::to_string(name.size()) +
         "); }\n"
         "static const struct ops ops = {" +
         name +
         "_open};\n"
         "struct device { int number; const struct ops* ops; } " +
         name +
         "_device = {7, &ops};\n"
         "int " +
         name + "(const struct ops** file) {\n" + check + "  return exported(\"\", file) + 1;\n}\n";
}

TEST(UpdatePlaces, CopyOfAConstantIsNotTheOneThatOthersHold) {
  const Running running = {"", driver("", "neighbour")};
  Made made =
      make(driver("  if (*file != &ops) return -9;\n", "target"), driver("", "target"), running);
  EXPECT_EQ(code(made), "failed_to_find");
}

const char* const Uses = R"(
extern int exported(const char*, ...);
#ifdef GLOBAL
int wanted(int);
#define value wanted(x)
#else
static int wanted;
#define value wanted++
#endif
int target(int x) { CHANGE return exported("", x); }
int other(int x) { MISMATCH return exported("", x) + 1; }
)";

std::string uses(const std::string& change, const std::string& mismatch, bool global) {
  return (global ? "#define GLOBAL\n" : "") + ("#define CHANGE " + change) + "\n#define MISMATCH " +
         mismatch + Uses;
}

TEST(UpdatePlaces, StaticThingsOfOtherUnitsAreNotMeant) {
  const std::string neighbour =
      "extern int exported(const char*, ...);\n"
      "__attribute__((noinline)) static int wanted(int* p) { return *p = exported(\"\", *p); }\n"
      "int neighbour(int x) { return wanted(&x) + x; }\n";
  Made made = make(uses("x += value;", "x += value;", true), uses("", "x += value;", true),
                   {uses("", "", true), neighbour});
  EXPECT_EQ(code(made), "failed_to_find");
  EXPECT_FALSE(has_final(made, "wanted"));

  const std::string data =
      "extern int exported(const char*, ...);\nstatic int wanted;\n"
      "int neighbour(int x) { return exported(\"\", x) + wanted++; }\n";
  made = make(uses("x += value;", "x += value;", false), uses("", "x += value;", false),
              {uses("", "", false), data});
  EXPECT_EQ(code(made), "failed_to_find");
  EXPECT_FALSE(has_final(made, "wanted"));
}

// A probe that only data mentions, among functions that are where they should be.
std::string probes(const std::string& body, const std::string& name) {
  std::string text = "extern int exported(const char*, ...);\n";
  for (int i = 0; i < 20; i++) {
    if (i == 10) text += "static int probe(int x) { " + body + " return exported(\"\", x) * 3; }\n";
    text += "int " + name + std::to_string(i) + "(int x) { return exported(\"\", x, " +
            std::to_string(i) + "); }\n";
  }
  return text + "struct { int (*probe)(int); } " + name + "_ops = {probe};\nint " + name +
         "(int x) { return exported(\"\", x) - 1; }\n";
}

TEST(UpdatePlaces, FunctionOfTheNextUnitIsNotThisOnesThatDiffers) {
  Made made = make(probes("if (x > 9) return 9;", "target"), probes("", "target"),
                   {probes("if (x < 0) return -22;", "target"), probes("", "neighbour")});
  EXPECT_FALSE(made.update.refusals.empty());
  EXPECT_TRUE(made.update.replaced.empty());
  // With its own code in place it is found, although another has its name.
  made = make(probes("if (x > 9) return 9;", "target"), probes("", "target"),
              {"", probes("if (x < 0) return -22;", "neighbour")});
  EXPECT_EQ(made.update.replaced, std::vector<std::string>{"probe"});
}

}  // namespace
}  // namespace ksplice
