// Images that look right at a glance: each of these was, or could have been, accepted with less
// evidence than there must be.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "tests/unit/small_kernel.h"

namespace ksplice {
namespace {

using namespace test;

const char* const Rest = R"(
const char linux_banner[] = "Linux version 6.1.0-test (builder) #1\n";
int far[4096] = { 1 };
int filler(int x) { return x * 5; }
int other(int x) { return x ^ 99; }
)";

class RunPreAttackTest : public SmallKernel {
 protected:
  RunImage link_with_rest(const std::string& name, const std::string& text) {
    return link(
        {shop_.compile("rest.c", Rest, KernelFlags), shop_.compile(name, text, KernelFlags)});
  }
  std::string message(const Object& object, const RunImage& image, const std::string& name) {
    MatchResult result = match_run_pre(object, image);
    const FunctionMatch& match = function(object, result, name.c_str());
    return match.status == MatchStatus::Mismatched ? match.refusal.message
           : result.contradictions.empty()         ? "accepted"
                                                   : result.contradictions[0].message;
  }
  static void set_field(RunImage& image, uint64_t place, uint64_t target) {
    int32_t value = static_cast<int32_t>(target - (place + 4));
    for (int i = 0; i < 4; i++)
      poke(image, place + i,
           static_cast<uint8_t>((*image.read(place + i, 1))[0] ^ (value >> 8 * i)));
  }
};

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(RunPreAttackTest, CallOfAFunctionThatTheImageDoesNotHave) {
  RunImage image =
      link_with_rest("run.c", "int filler(int); int f(int x) { return filler(x) + 1; }");
  Object object = pre("pre.c", "int renamed(int); int f(int x) { return renamed(x) + 1; }");
  EXPECT_HAS(message(object, image, "f"), "the image has no renamed");
}

TEST_F(RunPreAttackTest, StaticLocalWithAnotherNumber) {
  const char* text = R"(
	.globl f
	.type f, @function
f:	mov PLACE(%rip), %eax
	ret
	.size f, . - f
	.data
	.type STATE, @object
	.size STATE, 4
STATE: .long 0
	.type own, @object
	.size own, 4
own:	.long 0
)";
  auto flags = [](const std::string& number, const std::string& place) {
    return std::vector<std::string>{"-DSTATE=state." + number, "-DPLACE=" + place};
  };
  Object object = read_object(shop_.compile("pre.S", text, flags("7", "state.7")));
  std::string rest = shop_.compile("rest.c", Rest, KernelFlags);
  RunImage good = link({rest, shop_.compile("run.S", text, flags("3", "state.3"))});
  EXPECT_EQ(message(object, good, "f"), "accepted");
  RunImage bad = link({rest, shop_.compile("run.S", text, flags("3", "own"))});
  EXPECT_HAS(message(object, bad, "f"), "state.7 was expected, but own");
}

TEST_F(RunPreAttackTest, DatumOfTheSameNameInAnotherFile) {
  const char* text =
      "static int state = 1, own = 2;"
      "int FN(int x) { int old = state; state = x; own += x; return old; }";
  auto unit = [&](const std::string& name) {
    return shop_.compile(name + ".c", text, with(KernelFlags, {"-DFN=" + name}));
  };
  RunImage image = link({unit("a"), shop_.compile("rest.c", Rest, KernelFlags), unit("b")});
  Object object = pre("b_pre.c", std::string("#define FN b\n") + text);
  ASSERT_EQ(message(object, image, "b"), "accepted");
  std::vector<const RunSymbol*> states = image.find_symbols("state");
  ASSERT_EQ(states.size(), 2u);
  MatchResult result = match_run_pre(object, image);
  // Both references to state in b lead to a's.
  const RunCode& run = function(object, result, "b").run;
  uint64_t own_state = result.addresses.at(object.find_symbol("state"));
  uint64_t others = states[0]->addr == own_state ? states[1]->addr : states[0]->addr;
  for (uint64_t at = run.addr; at + 4 <= run.addr + run.bytes.size(); at++) {
    int32_t value;
    std::memcpy(&value, image.read(at, 4)->data(), 4);
    if (at + 4 + static_cast<uint64_t>(static_cast<int64_t>(value)) == own_state)
      set_field(image, at, others);
  }
  EXPECT_HAS(message(object, image, "b"), "far from the rest");
}

TEST_F(RunPreAttackTest, FunctionOfAnotherFileBetweenOurs) {
  const char* text = R"(
static __attribute__((noinline, used)) int helper(int x) { return x * 7 + 3; }
int tail(int x) { return x * 11 + OWN; }
__attribute__((section(".sched.text"))) int slow(int x) { return x * 13 + OWN; }
)";
  const char* twin =
      "static __attribute__((noinline, used)) int helper(int x) { return x * 7 + 3; }";
  RunImage image = link(
      {shop_.compile("ours.c", text, with(KernelFlags, {"-DOWN=1"})),
       shop_.compile("rest.c", std::string(Rest) + "__asm__(\".skip 4096, 0x90\");", KernelFlags),
       shop_.compile("twin.c", twin, KernelFlags)});
  Object object = pre("pre.c", std::string("#define OWN 1\n") + text);
  MatchResult result = match_run_pre(object, image);
  const FunctionMatch& match = function(object, result, "helper");
  ASSERT_EQ(match.status, MatchStatus::Matched) << match.refusal.message;
  EXPECT_EQ(match.run.addr, image.find_symbols("helper")[0]->addr);
}

TEST_F(RunPreAttackTest, FragmentOfAFunctionThatDiffers) {
  const char* text = R"(
extern int filler(int);
__attribute__((cold)) extern int other(int);
int f(int x)
{
	if (x == 12345)
		other(x);
	filler(x);
	filler(x + 1);
	return filler(x + 2);
}
)";
  RunImage image = link_with_rest("run.c", text);
  Object object = pre("pre.c", text);
  if (object.find_symbol("f.cold") == nullptr) GTEST_SKIP() << "the compiler made no fragment";
  ASSERT_EQ(message(object, image, "f.cold"), "accepted");
  MatchResult good = match_run_pre(object, image);
  poke(image, function(object, good, "f").run.addr + 2, 0x40);
  EXPECT_NE(message(object, image, "f"), "accepted");
  EXPECT_HAS(message(object, image, "f.cold"), "which does not match");
}

TEST_F(RunPreAttackTest, ReferenceThroughAGot) {
  const char* text = R"(
	.globl f
	.type f, @function
f:	add .Lown@GOTPCREL(%rip), %rax
	ret
	.size f, . - f
	.data
	.quad 0
.Lown:	.quad 5
)";
  RunImage image = link({shop_.compile("rest.c", Rest, KernelFlags),
                         shop_.compile("run.S", text, {"-Wa,-mrelax-relocations=no"})});
  Object object = read_object(shop_.compile("pre.S", text, {"-Wa,-mrelax-relocations=no"}));
  EXPECT_HAS(message(object, image, "f"), "not understood");
}

// Alignment that is none: the walk must not stand still.
TEST_F(RunPreAttackTest, OtherInstructionAtAnAlignedPlaceAfterAShorterJump) {
  const char* text = R"(
	.section JUMPER, "ax"
	.globl f
	.type f, @function
f:	jmp local
	.balign 8, 0x90
	BYTES
	ret
	.size f, . - f
	.section TARGET, "ax"
	.type local, @function
local:	ret
	.size local, . - local
)";
  std::string rest = shop_.compile("rest.c", Rest, KernelFlags);
  RunImage image =
      link({rest, shop_.compile("run.S", text,
                                {"-DJUMPER=.text", "-DTARGET=.text", "-DBYTES=.byte 0x31, 0xc0"})});
  Object object = read_object(shop_.compile(
      "pre.S", text, {"-DJUMPER=.text.f", "-DTARGET=.text.local", "-DBYTES=.byte 0x48, 0x90"}));
  EXPECT_HAS(message(object, image, "f"), "the instructions differ");
}

// The bytes behind the ud2 of XEN_EMULATE_PREFIX read like a jump out of the section.
TEST_F(RunPreAttackTest, BytesThatLookLikeABranch) {
  const char* text = R"(
	.globl f
	.type f, @function
f:	.byte 0x0f, 0x0b, 0x78, LAST, 0x6e
	cpuid
	ret
	.size f, . - f
)";
  std::string rest = shop_.compile("rest.c", Rest, KernelFlags);
  Object object = read_object(shop_.compile("pre.S", text, {"-DLAST=0x65"}));
  RunImage good = link({rest, shop_.compile("run.S", text, {"-DLAST=0x65"})});
  EXPECT_EQ(message(object, good, "f"), "accepted");
  RunImage bad = link({rest, shop_.compile("run.S", text, {"-DLAST=0x64"})});
  EXPECT_HAS(message(object, bad, "f"), "differ");
}

// zstd points behind a string of one byte: the string counts, and the distance from it.
TEST_F(RunPreAttackTest, ConstantAtAPlaceThatTheLinkerCannotHaveChosen) {
  const char* text = R"(
	.globl f, g
	.type f, @function
	.type g, @function
f:	mov F(%rip), %rax
	ret
	.size f, . - f
g:	mov G(%rip), %rax
	inc %rax
	ret
	.size g, . - g
	.section .rodata.cst8, "aM", @progbits, 8
	.balign 8
.LC0:	.quad 0
	.section .rodata, "a", @progbits
	.balign 8
zeros:	.fill 4, 8, 0
)";
  auto flags = [](const std::string& f, const std::string& g) {
    return std::vector<std::string>{"-DF=" + f, "-DG=" + g};
  };
  Object object = read_object(shop_.compile("pre.S", text, flags(".LC0", ".LC0")));
  std::string rest = shop_.compile("rest.c", Rest, KernelFlags);
  auto messages = [&](const std::string& f, const std::string& g) {
    RunImage image = link({rest, shop_.compile("run.S", text, flags(f, g))});
    return message(object, image, "f") + "; " + message(object, image, "g");
  };
  EXPECT_EQ(messages("zeros", "zeros"), "accepted; accepted");
  EXPECT_HAS(messages("zeros+4", "zeros+4"), "a constant is not aligned to 8 bytes");
  EXPECT_HAS(messages("zeros", "zeros+8"), "the constant at .rodata.cst8+0x0 is at");
}

// 7.3 is built with UBSAN: what it would say of a place is writable and has no name.
TEST_F(RunPreAttackTest, PlaceOfWhichUbsanSaysSomethingElse) {
  const char* text = R"(
	.globl f
	.type f, @function
f:	mov $PLACE, %rdi
	ret
	.size f, . - f
	.section DATA1, "aw"
	.balign 32
.Lours:	.quad .LC0
	.long LINE, 7
	.quad .Ltype
	.section DATA2, "aw"
	.balign 32
.Lfile:	.quad .LC1
	.long LINE, 7
	.quad .Ltype
	.section DATA3, "aw"
	.balign 32
.Lkind:	.quad .LC0
	.long LINE, 7
	.quad .Lother
	.section TYPE1, "aw"
	.balign 2
.Ltype:	.short 0, 10
	.asciz "int"
	.section TYPE2, "aw"
	.balign 2
.Lother: .short 0, 11
	.asciz "int"
	.section .rodata.str1.1, "aMS", @progbits, 1
.LC0:	.asciz FOLDER "cpumask.h"
.LC1:	.asciz FOLDER "topology.h"
)";
  auto unit = [&](const std::string& name, const std::string& place, const std::string& line,
                  const std::string& folder, bool is_pre) {
    std::vector<std::string> flags = {"-DPLACE=" + place, "-DLINE=" + line,
                                      "-DFOLDER=\"" + folder + "\""};
    for (const char* part : {"data1", "data2", "data3", "type1", "type2"}) {
      std::string define = std::string("-D") + part;
      std::transform(define.begin() + 2, define.end(), define.begin() + 2, ::toupper);
      flags.push_back(define + "=.data" + (is_pre ? std::string("..Lubsan_") + part : ""));
    }
    return shop_.compile(name, text, flags);
  };
  Object object = read_object(unit("pre.S", ".Lours", "2", "/here/", true));
  const std::string rest = shop_.compile("rest.c", Rest, KernelFlags);
  auto against = [&](const std::string& place) {
    RunImage image = link({rest, unit("run.S", place, "9", "../there/", false)});
    return message(object, image, "f");
  };
  EXPECT_EQ(against(".Lours"), "accepted");  // the line and the folder may be others
  EXPECT_HAS(against(".Lfile"), "it is about another file than cpumask.h");
  EXPECT_HAS(against(".Lkind"), ".data..Lubsan_type1");
  EXPECT_HAS(against(".Lours + 8"), "Lubsan_data1");
}

TEST_F(RunPreAttackTest, OtherLevelOfOptimization) {
  const char* text =
      "int f(const int* p, int n) { int s = 0; while (n--) s += *p++ * 7; return s; }";
  RunImage image = link_with_rest("run.c", text);
  auto advice = [&](const std::string& level) {
    Object object = pre("pre.c", text, with(KernelFlags, {"-g", level}));
    MatchResult result = match_run_pre(object, image);
    return function(object, result, "f").refusal.advice;
  };
  EXPECT_EQ(advice("-O2"), "");
  EXPECT_HAS(advice("-Os"), "pre was compiled with -Os");
}

TEST_F(RunPreAttackTest, PointerBehindAString) {
  const char* text = R"(
	.globl f
	.type f, @function
f:	mov $text + DISTANCE, %rax
	ret
	.size f, . - f
	.section .rodata.str1.1, "aMS", @progbits, 1
text:	.string "TEXT"
)";
  std::string rest = shop_.compile("rest.c", Rest, KernelFlags);
  auto flags = [](const std::string& distance) {
    return std::vector<std::string>{"-DDISTANCE=" + distance};
  };
  std::string plain = text;
  plain.replace(plain.find("TEXT"), 4, "x");
  std::string other = text;
  other.replace(other.find("TEXT"), 4, "y");
  Object object = read_object(shop_.compile("pre.S", plain, flags("9")));
  EXPECT_EQ(message(object, link({rest, shop_.compile("run.S", plain, flags("9"))}), "f"),
            "accepted");
  EXPECT_HAS(message(object, link({rest, shop_.compile("run.S", plain, flags("8"))}), "f"),
             "string");
  EXPECT_HAS(message(object, link({rest, shop_.compile("run.S", other, flags("9"))}), "f"),
             "string");
}

TEST_F(RunPreAttackTest, AbsoluteValueInATable) {
  const char* text =
      "extern char limit[]; static char *const table[] = { limit, limit + 4 }; char *f(int x) { "
      "return "
      "table[x]; }";
  std::string rest = shop_.compile("rest.c", std::string(Rest) + "char limit[8];", KernelFlags);
  RunImage image = link({rest, shop_.compile("run.c", text, KernelFlags)});
  Object object = pre("pre.c", text);
  ASSERT_EQ(message(object, image, "f"), "accepted");
  Symbol* limit = nullptr;
  for (const auto& symbol : object.symbols)
    if (symbol->name == "limit") limit = symbol.get();
  ASSERT_NE(limit, nullptr);
  limit->shndx = 0xfff1;  // SHN_ABS
  limit->value = 7;
  EXPECT_HAS(message(object, image, "f"), "limit has another value");
}

}  // namespace
}  // namespace ksplice
