// The table of traps (WARN, BUG): the layout of 7.3, and tables that cannot be read.
#include <gtest/gtest.h>

#include "objdiff/base/error.h"
#include "objdiff/image/run_tables.h"
#include "tests/unit/small_kernel.h"

namespace ksplice {
namespace {

using namespace test;

// A warning with arguments, as WARN_ONCE() of 7.3 makes it: the code hands its entry to a function.
// And a BUG().
const char* const Traps = R"(
	.section CODE, "ax"
	.globl f
	.type f, @function
f:	lea LOADED(%rip), %rdi
1:	call trap
	ret
2:	ud2
	.size f, . - f
	.section __bug_table, "aw"
11:	.long 1b - .
	.long message - ., file - .
	.2byte 77, FLAGS
22:	.long 2b - .
	.long empty - ., file - .
	.2byte 78, 0
	TAIL
	.section .rodata.str1.1, "aMS", @progbits, 1
message: .byte TEXT, 0
empty:	.asciz ""
file:	.asciz "f.c"
)";

const char* const Rest =
    "const char linux_banner[] = \"Linux version 7.3.4-test (builder) #1\\n\";"
    "int far = 1; int trap(int x) { return x * 5; }";

struct Variant {
  std::string loaded = "11f", flags = "0x911", text = "'t'", tail = "";
};

class RunBugsTest : public SmallKernel {
 protected:
  std::string assemble(const std::string& name, const std::string& code, const Variant& variant) {
    return shop_.compile(
        name, Traps,
        {"-DCODE=" + code, "-DLOADED=" + variant.loaded, "-DFLAGS=" + variant.flags,
         "-DTEXT=" + variant.text, "-DTAIL=" + variant.tail});
  }
  RunImage run(const Variant& variant = {}) {
    return link({shop_.compile("rest.c", Rest, KernelFlags), assemble("run.S", ".text", variant)});
  }
  Object pre(const Variant& variant = {}) {
    return read_object(assemble("pre.S", ".text.f", variant));
  }
  static std::string message(const Object& object, const RunImage& image) {
    try {
      MatchResult result = match_run_pre(object, image);
      const FunctionMatch& match = function(object, result, "f");
      if (match.status == MatchStatus::Matched) return "accepted";
      return match.refusal.message;
    } catch (const Error& error) {
      return error.code + std::string(": ") + error.what();
    }
  }
};

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(RunBugsTest, KnowsEntriesWithAMessage) {
  RunImage image = run();
  ASSERT_EQ(message(pre(), image), "accepted");
  ASSERT_EQ(tables_of(image).bugs.size(), 2u);
  EXPECT_EQ(tables_of(image).bugs.begin()->second.flags, 0x911);
}

TEST_F(RunBugsTest, RefusesAnotherKindOrMessage) {
  EXPECT_HAS(message(pre(), run({.flags = "0x913"})), "of another kind");
  EXPECT_HAS(message(pre(), run({.text = "'T'"})), "\"t\" has another content");
}

// The code hands over the entry of another trap.
TEST_F(RunBugsTest, RefusesTheEntryOfAnotherTrap) {
  EXPECT_HAS(message(pre({.loaded = "22f"}), run()), "the entry of another trap");
  EXPECT_HAS(message(pre(), run({.loaded = "22f"})), "bad_image");
}

// .data of 7.3 is executable, for relocate_kernel().
TEST_F(RunBugsTest, KnowsEntriesOfCodeInData) {
  const std::string in_data =
      ".long 3f - ., empty - ., file - ., 0; .section .data.code, \"awx\"; 3: ud2";
  RunImage image = run({.tail = in_data});
  EXPECT_EQ(message(pre(), image), "accepted");
  EXPECT_EQ(tables_of(image).bugs.size(), 3u);
}

TEST_F(RunBugsTest, RefusesATableThatItCannotRead) {
  EXPECT_HAS(message(pre(), run({.tail = ".long 2b - ., 0, 0"})), "bad_image");
  EXPECT_HAS(message(pre(), run({.tail = ".long linux_banner - ., 0, 0, 0"})), "bad_image");
  EXPECT_HAS(message(pre({.tail = ".long 2b - ., 0, 0"}), run()), "bad_file");
  EXPECT_HAS(message(pre({.tail = ".long 0, message - ., file - ., 0"}), run()), "bad_file");
}

}  // namespace
}  // namespace ksplice
