#include "objdiff/match/run_pre.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "objdiff/image/run_image_parts.h"
#include "tests/unit/small_kernel.h"

namespace ksplice {
namespace {

using namespace test;

// The unit that most tests match: calls, tail calls of local functions, strings, constants, a jump
// table.
const char* const Unit = R"(
extern int printk(const char *, ...);
extern int other(int);
static int counter;
static const int primes[] = { 2, 3, 5, 7, 11, 13 };
static const char *const words[] = { "zero", "one", "two" };
static __attribute__((noinline)) int local(int x) { counter += x; return other(x) + primes[x]; }
int tail(int x) { return local(x + 1); }
int use(int x)
{
	if (x > 5)
		return tail(x);
	printk("value %d of %s\n", x, words[x]);
	return local(x) * 3;
}
int sw(int x)
{
	switch (x) {
	case 0: return other(10);
	case 1: return printk("case one");
	case 2: return other(x) + 7;
	case 3: return local(4);
	case 4: return counter;
	case 5: return printk("case five");
	case 6: return x - counter;
	}
	return -1;
}
)";

const char* const Rest = R"(
const char linux_banner[] = "Linux version 6.1.0-test (builder) #1\n";
int filler(int x) { return x * 5; }
int printk(const char *f, ...) { return f[0]; }
int other(int x) { return x ^ 99; }
static const char *const names[] = { "zero", "other" };
const char *name(int x) { return names[x]; }
)";

class RunPreTest : public SmallKernel {
 protected:
  RunImage image_of_unit() {
    return link(
        {shop_.compile("rest.c", Rest, KernelFlags), shop_.compile("unit.c", Unit, KernelFlags)});
  }
};

TEST_F(RunPreTest, MatchesAndLearnsAddresses) {
  RunImage image = image_of_unit();
  Object object = pre("pre.c", Unit);
  MatchResult result = match_run_pre(object, image);
  EXPECT_TRUE(result.contradictions.empty());
  for (const FunctionMatch& match : result.functions) {
    EXPECT_EQ(match.status, MatchStatus::Matched)
        << match.pre->name << ": " << match.refusal.message << '\n'
        << match.refusal.expected << "---\n"
        << match.refusal.found;
    const RunSymbol* symbol = image.unique_symbol(match.pre->name);
    ASSERT_NE(symbol, nullptr);
    EXPECT_EQ(match.run.addr, symbol->addr);
    EXPECT_EQ(match.run.bytes.size(), symbol->size);
    EXPECT_EQ(match.run.location.offset, static_cast<int64_t>(symbol->addr - Base));
  }
  EXPECT_GE(result.functions.size(), 4u);
  for (const char* name : {"counter", "primes", "words", "other", "printk", "local"}) {
    const Symbol* symbol = nullptr;
    for (const auto& candidate : object.symbols)
      if (candidate->name == name) symbol = candidate.get();
    ASSERT_NE(symbol, nullptr) << name;
    ASSERT_EQ(result.addresses.count(symbol), 1u) << name;
    EXPECT_EQ(result.addresses.at(symbol), image.unique_symbol(name)->addr) << name;
  }
  EXPECT_FALSE(result.anonymous.empty());  // strings
}

TEST_F(RunPreTest, ShortensTailCallsOfOneSection) {
  RunImage image = image_of_unit();
  Object object = pre("pre.c", Unit);
  // In pre the jump to local() has five bytes; in run they are two.
  MatchResult result = match_run_pre(object, image);
  const FunctionMatch& match = function(object, result, "tail");
  EXPECT_EQ(match.status, MatchStatus::Matched);
  EXPECT_EQ(match.run.bytes.size() + 3, object.find_symbol("tail")->size);
}

// The twin of the test above: every single bit of every matched function counts.
TEST_F(RunPreTest, RefusesEveryFlippedBitOfCode) {
  RunImage image = image_of_unit();
  Object object = pre("pre.c", Unit);
  MatchResult good = match_run_pre(object, image);
  for (const FunctionMatch& match : good.functions) {
    for (uint64_t bit = 0; bit < match.run.bytes.size() * 8; bit++) {
      uint8_t flip = static_cast<uint8_t>(1u << bit % 8);
      poke(image, match.run.addr + bit / 8, flip);
      MatchResult result = match_run_pre(object, image);
      const FunctionMatch* changed = result.find(match.pre);
      bool accepted = changed->status == MatchStatus::Matched && result.contradictions.empty();
      EXPECT_FALSE(accepted) << match.pre->name << "+" << bit / 8 << " bit " << bit % 8;
      poke(image, match.run.addr + bit / 8, flip);
    }
  }
}

TEST_F(RunPreTest, RefusesAChangedConstant) {
  RunImage image = image_of_unit();
  Object object = pre("pre.c", Unit);
  poke(image, image.unique_symbol("primes")->addr + 8, 1);
  MatchResult result = match_run_pre(object, image);
  const FunctionMatch& match = function(object, result, "local");
  EXPECT_EQ(match.status, MatchStatus::Mismatched);
  EXPECT_EQ(match.refusal.code, "no_match");
  EXPECT_NE(match.refusal.message.find("primes"), std::string::npos) << match.refusal.message;
  EXPECT_EQ(function(object, result, "tail").status, MatchStatus::Matched);
}

TEST_F(RunPreTest, RefusesAChangedStringBehindAPointerTable) {
  RunImage image = image_of_unit();
  Object object = pre("pre.c", Unit);
  // words[1] -> "one"
  uint64_t entry = image.unique_symbol("words")->addr + 8;
  uint64_t text;
  std::memcpy(&text, image.read(entry, 8)->data(), 8);
  poke(image, text + 1, 0x20);
  MatchResult result = match_run_pre(object, image);
  const FunctionMatch& match = function(object, result, "use");
  EXPECT_EQ(match.status, MatchStatus::Mismatched);
  EXPECT_NE(match.refusal.message.find("\"one\""), std::string::npos) << match.refusal.message;
}

TEST_F(RunPreTest, RefusesAChangedJumpTable) {
  RunImage image = image_of_unit();
  Object object = pre("pre.c", Unit);
  MatchResult good = match_run_pre(object, image);
  uint64_t table = 0;
  for (const auto& [place, addr] : good.anonymous)
    if (place.first->name.rfind(".rodata", 0) == 0 && !place.first->is_strings()) table = addr;
  ASSERT_NE(table, 0u) << "the compiler made no jump table";
  poke(image, table + 8, 0x04);
  MatchResult result = match_run_pre(object, image);
  EXPECT_TRUE(function(object, result, "sw").status == MatchStatus::Mismatched ||
              !result.contradictions.empty());
}

TEST_F(RunPreTest, NamesWhereACallLeads) {
  RunImage image = link({shop_.compile("rest.c", Rest, KernelFlags),
                         shop_.compile("unit.c",
                                       "extern int filler(int); int f(int x) { return "
                                       "filler(x) + 1; }",
                                       KernelFlags)});
  Object object = pre("pre.c", "extern int other(int); int f(int x) { return other(x) + 1; }");
  MatchResult result = match_run_pre(object, image);
  const FunctionMatch& match = function(object, result, "f");
  EXPECT_EQ(match.status, MatchStatus::Mismatched);
  EXPECT_NE(match.refusal.message.find("other was expected, but filler"), std::string::npos)
      << match.refusal.message;
}

TEST_F(RunPreTest, TellsLocalClonesApart) {
  auto unit = [](const std::string& own) {
    return "extern int other(int); static int state;\n"
           "static __attribute__((noinline)) int helper(int x) { return other(x) * 7; }\n"
           "static __attribute__((noinline)) int setup(int x) { state = x; return helper(x); }\n"
           "int " +
           own + "(int x) { return setup(x) + helper(x - 2); }\n";
  };
  RunImage image = link({shop_.compile("rest.c", Rest, KernelFlags),
                         shop_.compile("a.c", unit("first"), KernelFlags),
                         shop_.compile("b.c", unit("second"), KernelFlags),
                         shop_.compile("c.c", unit("third"), KernelFlags)});
  Object object = pre("pre.c", unit("second"));
  MatchResult result = match_run_pre(object, image);
  for (const FunctionMatch& match : result.functions)
    EXPECT_EQ(match.status, MatchStatus::Matched) << match.pre->name << match.refusal.message;
  std::vector<const RunSymbol*> helpers = image.find_symbols("helper");
  ASSERT_EQ(helpers.size(), 3u);
  EXPECT_EQ(function(object, result, "helper").run.addr, helpers[1]->addr);
  EXPECT_EQ(function(object, result, "setup").run.addr, image.find_symbols("setup")[1]->addr);
}

TEST_F(RunPreTest, RefusesTwoAddressesForOneThing) {
  const char* text =
      "static int v[64]; int f(int x) { v[x & 3] = x; return v[(x + 1) & 3] + v[9]; }"
      "int g(int x) { return v[x & 7]; }";
  RunImage image =
      link({shop_.compile("rest.c", Rest, KernelFlags), shop_.compile("u.c", text, KernelFlags)});
  Object object = pre("pre.c", text);
  MatchResult good = match_run_pre(object, image);
  ASSERT_EQ(function(object, good, "g").status, MatchStatus::Matched);
  // Without names in the image, only the agreement of the two functions is left.
  image.by_name.erase("v");
  for (RunSymbol& symbol : image.symbols)
    if (symbol.name == "v") symbol.name = "renamed";
  ASSERT_EQ(function(object, match_run_pre(object, image), "g").status, MatchStatus::Matched);
  // g's field: the displacement of its load.
  const RunCode& run = function(object, good, "g").run;
  ASSERT_EQ(run.fields.size(), 1u);
  poke(image, run.addr + run.fields[0].offset, 0x10);
  MatchResult result = match_run_pre(object, image);
  const FunctionMatch& match = function(object, result, "g");
  EXPECT_EQ(match.status, MatchStatus::Mismatched);
  EXPECT_NE(match.refusal.message.find("elsewhere"), std::string::npos) << match.refusal.message;
}

// The kernel's list has no name for its own parts, which C names as weak ones.
TEST_F(RunPreTest, FindsTheTablesThatTheListOfSymbolsLeavesOut) {
  const std::string text =
      "extern const unsigned NAME __attribute__((weak));"
      "unsigned size_of(void) { return NAME; } unsigned twice(void) { return NAME * 2; }";
  auto match = [&](const std::string& name) {
    const std::string run =
        "const unsigned hidden = 5;"
        "const char linux_banner[] = \"Linux version 6.1.0-test (root@host) (gcc 12) #1 SMP\";";
    RunImage image = link({shop_.compile("run.c", run, KernelFlags),
                           shop_.compile("unit.c", text, with(KernelFlags, {"-DNAME=hidden"}))});
    const uint64_t addr = image.unique_symbol("hidden")->addr;
    std::erase_if(image.symbols, [](const RunSymbol& each) { return each.name == "hidden"; });
    index_symbols(image);
    Object object = pre("pre.c", "#define NAME " + name + "\n" + text);
    MatchResult result = match_run_pre(object, image);
    return function(object, result, "size_of").status == MatchStatus::Matched &&
           std::any_of(result.addresses.begin(), result.addresses.end(), [&](const auto& known) {
             return known.first->name == name && known.second == addr;
           });
  };
  EXPECT_TRUE(match("kallsyms_num_syms"));
  EXPECT_FALSE(match("kallsyms_num_seven"));
}

TEST_F(RunPreTest, SaysWhatTheImageLacks) {
  RunImage image = image_of_unit();
  Object object = pre("pre.c", std::string(Unit) + "int absent(int x) { return x; }");
  MatchResult result = match_run_pre(object, image);
  EXPECT_EQ(function(object, result, "absent").status, MatchStatus::Absent);
  EXPECT_EQ(function(object, result, "use").status, MatchStatus::Matched);
}

TEST_F(RunPreTest, RefusesAnotherOptimisation) {
  RunImage image = image_of_unit();
  Object object = pre("pre.c", Unit, with(KernelFlags, {"-O1"}));
  MatchResult result = match_run_pre(object, image);
  const FunctionMatch& match = function(object, result, "use");
  EXPECT_EQ(match.status, MatchStatus::Mismatched);
  EXPECT_FALSE(match.refusal.expected.empty());
  EXPECT_FALSE(match.refusal.found.empty());
}

TEST_F(RunPreTest, NamesAnotherCompiler) {
  RunImage image = image_of_unit();
  image.banner = "Linux version 6.1.0-test (builder) (fancy-cc 3.2.1, GNU ld 2.40) #1";
  Object object = pre("pre.c", Unit, with(KernelFlags, {"-O1"}));
  MatchResult result = match_run_pre(object, image);
  const Refusal& refusal = function(object, result, "use").refusal;
  EXPECT_NE(refusal.advice.find("fancy-cc 3.2.1"), std::string::npos) << refusal.advice;
}

TEST_F(RunPreTest, ListsFieldsThatDependOnTheBoot) {
  const char* text = "int table[8]; int f(long x) { return table[x]; }";
  RunImage image =
      link({shop_.compile("rest.c", Rest, KernelFlags), shop_.compile("u.c", text, KernelFlags)});
  Object object = pre("pre.c", text);
  MatchResult result = match_run_pre(object, image);
  const RunCode& run = function(object, result, "f").run;
  ASSERT_EQ(run.fields.size(), 1u);  // table(,%rdi,4): absolute
  EXPECT_FALSE(run.fields[0].pc_relative);
  EXPECT_EQ(run.fields[0].target.offset,
            static_cast<int64_t>(image.unique_symbol("table")->addr - Base));
  EXPECT_EQ(run.fields[0].addend, 0);
}

// kaslr_offset(): the field is 0 in the image and the distance that the kernel moved at run time.
TEST_F(RunPreTest, ListsAFieldThatIsADistanceFromTheKernelsStart) {
  const char* text =
      "int other(int); unsigned long f(void) { return (unsigned long)other - 0xffffffff81000000; }";
  RunImage image =
      link({shop_.compile("rest.c", Rest, KernelFlags), shop_.compile("u.c", text, KernelFlags)});
  Object object = pre("pre.c", text);
  MatchResult result = match_run_pre(object, image);
  const RunCode& run = function(object, result, "f").run;
  ASSERT_EQ(run.fields.size(), 1u);
  EXPECT_EQ(run.fields[0].target.offset,
            static_cast<int64_t>(image.unique_symbol("other")->addr - Base));
  EXPECT_EQ(static_cast<uint64_t>(run.fields[0].addend), -Base);
}

}  // namespace
}  // namespace ksplice
