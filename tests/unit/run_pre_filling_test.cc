// Filling before aligned loops: as gcc 14 writes it, of another length in pre, where the function
// has a section of its own, than in run; and what only looks like it.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/unit/small_kernel.h"

namespace ksplice {
namespace {

using namespace test;

// A function that is entered through a table, too. What stands before the loops, and before the
// function, is the test's.
const char* const Loops = R"(
	.section CODE, "ax"
	.p2align 6
	BEFORE
	.globl f
	.type f, @function
f:	test %esi, %esi
	jle local
	jmp *table(, %rsi, 8)
	nop	/* as instrumentation_begin() has it, and no filling */
	FIRST
1:	imul $31, %eax, %eax
	dec %esi
	jne 1b
	cmp $5, %edi
	je 2f
	inc %edi
	SECOND
2:	add $7, %eax
	dec %edi
	jne 2b
	jmp 1b
	.size f, . - f
	.section TARGET, "ax"
	.type local, @function
local:	ret
	.size local, . - local
	.section .rodata.f, "a"
	.p2align 3
	.type table, @object
table: .quad 1b, 2b
	.size table, . - table
)";
const char* const Rest =
    "const char linux_banner[] = \"Linux version 6.1.0-test (builder) #1\\n\";"
    "int filler(int x) { return x * 5; }";

class RunPreFillingTest : public SmallKernel {
 protected:
  // before: bytes of code before the function in run; what fills before the two loops there.
  RunImage run(const std::string& before, const std::string& first, const std::string& second) {
    return link({shop_.compile("rest.c", Rest, KernelFlags),
                 shop_.compile("run.S", Loops,
                               {"-DCODE=.text", "-DTARGET=.text", "-DBEFORE=.nops " + before,
                                "-DFIRST=" + first, "-DSECOND=" + second})});
  }
  Object pre(const std::string& target = ".text.f") {
    return read_object(shop_.compile("pre.S", Loops,
                                     {"-DCODE=.text.f", "-DTARGET=" + target,
                                      "-DBEFORE=", "-DFIRST=.p2align 5", "-DSECOND=.p2align 6"}));
  }
  static bool accepts(const Object& object, const RunImage& image) {
    MatchResult result = match_run_pre(object, image);
    return function(object, result, "f").status == MatchStatus::Matched &&
           result.contradictions.empty();
  }
};

TEST_F(RunPreFillingTest, FollowsTheStartOfTheFunction) {
  Object object = pre();
  for (const char* before : {"0", "16", "32", "48"}) {
    RunImage image = run(before, ".p2align 5", ".p2align 6");
    MatchResult result = match_run_pre(object, image);
    const FunctionMatch& match = function(object, result, "f");
    EXPECT_EQ(match.status, MatchStatus::Matched) << before << ": " << match.refusal.message;
    EXPECT_EQ(match.run.bytes.size(), image.unique_symbol("f")->size);
  }
}

TEST_F(RunPreFillingTest, FollowsAShorterBranch) {
  Object object = pre(".text.local");
  for (const char* before : {"0", "16", "32", "48"})
    EXPECT_TRUE(accepts(object, run(before, ".p2align 5", ".p2align 6"))) << before;
}

TEST_F(RunPreFillingTest, RefusesEveryFlippedBit) {
  Object object = pre();
  RunImage image = run("16", ".p2align 5", ".p2align 6");
  ASSERT_TRUE(accepts(object, image));
  const RunSymbol& f = *image.unique_symbol("f");
  ASSERT_NE(f.size, object.find_symbol("f")->size);
  for (uint64_t bit = 0; bit < f.size * 8; bit++) {
    const uint8_t flip = static_cast<uint8_t>(1u << bit % 8);
    poke(image, f.addr + bit / 8, flip);
    EXPECT_FALSE(accepts(object, image)) << "+" << bit / 8 << " bit " << bit % 8;
    poke(image, f.addr + bit / 8, flip);
  }
}

// A pointer of the table into the filling, before it and behind it.
TEST_F(RunPreFillingTest, RefusesAnotherWayIn) {
  Object object = pre();
  RunImage image = run("16", ".p2align 5", ".p2align 6");
  const uint64_t table = image.unique_symbol("table")->addr;
  for (uint64_t entry = table; entry < table + 16; entry += 8)
    for (uint8_t change = 1; change != 0; change++) {
      poke(image, entry, change);
      EXPECT_FALSE(accepts(object, image)) << "entry " << entry - table << " ^ " << int{change};
      poke(image, entry, change);
    }
}

TEST_F(RunPreFillingTest, RefusesWhatEndsElsewhere) {
  Object object = pre();
  auto accepts_run = [&](const char* before, const std::string& first, const std::string& second) {
    return accepts(object, run(before, first, second));
  };
  // f begins at 16 in 64 and its first loop, behind 12 bytes, at 32.
  ASSERT_TRUE(accepts_run("16", ".nops 4", ".p2align 6"));
  EXPECT_FALSE(accepts_run("16", ".nops 3", ".p2align 6"));
  EXPECT_FALSE(accepts_run("16", ".nops 5", ".p2align 6"));
  EXPECT_FALSE(accepts_run("16", ".nops 36", ".p2align 6"));
  EXPECT_FALSE(accepts_run("16", ".p2align 5", ""));
  EXPECT_FALSE(accepts_run("16", ".p2align 5", ".p2align 7"));
  EXPECT_FALSE(accepts_run("32", ".p2align 4", ".p2align 6"));
  EXPECT_FALSE(accepts_run("16", ".nops 1; .nops 3", ".p2align 6"));  // not the assembler's nops
}

// Filling up to an alignment that the section does not have is none.
TEST_F(RunPreFillingTest, RefusesAnAlignmentThatTheSectionDoesNotHave) {
  Object object = pre();
  RunImage image = run("16", ".p2align 5", ".p2align 6");
  for (const auto& section : object.sections)
    if (section->name == ".text.f") section->align = 16;
  EXPECT_FALSE(accepts(object, image));
}

// Filling where the function begins alike has one length.
TEST_F(RunPreFillingTest, RefusesFillingThatNothingMoved) {
  EXPECT_FALSE(accepts(pre(), run("0", "", ".p2align 6")));
  EXPECT_FALSE(accepts(pre(), run("0", ".p2align 6", ".p2align 6")));
}

}  // namespace
}  // namespace ksplice
