#include "objdiff/match/run_ranges.h"

#include <gtest/gtest.h>

#include "kmod-core/ksplice_abi.h"
#include "objdiff/object/elf_read.h"
#include "tests/unit/compile.h"

namespace ksplice {
namespace {

// A function with one of each kind of place that the kernel rewrites. JUMP is the jump label's
// instruction: what the compiler wrote, or what objtool made of it.
const std::string Function = R"(
    .section .text.f, "ax"
    .globl f
    .type f, @function
f:  endbr64
    call __fentry__
1:  JUMP
    nop
2:  lock incl state(%rip)
    call __x86_indirect_thunk_r9
3:  .skip 3, 0x90
    call *pv_slot(%rip)
4:  movabs $0x0123456789abcdef, %rax
    call __SCT__hook
    jmp __x86_return_thunk
7:  ud2
    .size f, . - f

    .section __jump_table, "aw"
    .balign 8
    .long 1b - ., 2b - .
    .quad key + KEYFLAGS - .
    .section .smp_locks, "a"
    .balign 4
    .long 2b - .
    .section .altinstructions, "a"
    .long 3b - ., 5f - .
    .2byte 301
    .byte 3, 3
    .long 3b + 3 - ., 6f - .
    .2byte 302
    .byte 6, 1
    .section .altinstr_replacement, "ax"
5:  stac
6:  cli
    .section .parainstructions, "a"
    .balign 8
    .quad 3b + 3
    .byte 1, 6
    .balign 8
    .section runtime_ptr_value, "a"
    .long 4b + 2 - .
    .section .static_call_sites, "a"
    .long 4b + 10 - ., __SCK__hook - .
    .section __ex_table, "a"
    .long 2b - ., 3b - ., 3
    .section __bug_table, "aw"
    .long 7b - ., 0
    .2byte 77, 0x901
)";

const char* const Rest = R"(
    .text
    .globl __fentry__, __x86_return_thunk, __x86_indirect_thunk_r9, __SCT__hook
__fentry__: ret
__x86_return_thunk: ret
__x86_indirect_thunk_r9: jmp *%r9
__SCT__hook: jmp __fentry__
    .data
    .globl state, key, pv_slot, value, __SCK__hook
state: .quad 0
key: .quad 0, 0
pv_slot: .quad 0
value: .quad 0
__SCK__hook: .quad 0
    .section .rodata
    .globl linux_banner
linux_banner: .asciz "Linux version 6.1.0-test (builder) #1\n"
)";

class RunRangesTest : public testing::Test {
 protected:
  std::string assemble(const std::string& name, const std::string& text,
                       const std::string& jump = "nop") {
    return shop_.compile(name, text, {"-DJUMP=" + jump, "-DKEYFLAGS=2"});
  }

  RunImage link(const std::string& unit) {
    shop_.run({KSPLICE_TEST_CC, "-nostdlib", "-static", "-no-pie", "-Wl,-e,0",
               "-Wl,--build-id=none", "-Wl,-Ttext-segment=0xffffffff81000000",
               "-Wl,--defsym=_text=0xffffffff81000000", "-Wl,-z,norelro", "-o",
               shop_.file("vmlinux"), assemble("rest.S", Rest), unit, KSPLICE_TEST_TABLES});
    return read_run_image(shop_.file("vmlinux"));
  }

  test::Workshop shop_;
};

TEST_F(RunRangesTest, DescribesEachKind) {
  RunImage image = link(assemble("run.S", Function, "xchg %ax, %ax"));
  Object pre = read_object(assemble("pre.S", Function, "jmp 2f"));
  MatchResult result = match_run_pre(pre, image);
  const FunctionMatch* match = result.find(pre.find_symbol("f"));
  ASSERT_NE(match, nullptr);
  ASSERT_EQ(match->status, MatchStatus::Matched) << match->refusal.message;
  const std::vector<RunRange>& ranges = match->run.ranges;
  std::vector<std::vector<unsigned>> summary;
  for (const RunRange& range : ranges)
    summary.push_back(
        {range.offset, range.length, range.kind, static_cast<unsigned>(range.variants.size())});
  EXPECT_EQ(summary, (std::vector<std::vector<unsigned>>{
                         {0, 4, KSPLICE_RANGE_VARIANTS, 2},  // endbr64
                         {4, 5, KSPLICE_RANGE_FTRACE, 1},
                         {9, 2, KSPLICE_RANGE_VARIANTS, 2},   // jump label
                         {12, 1, KSPLICE_RANGE_VARIANTS, 2},  // lock
                         {19, 5, KSPLICE_RANGE_RETPOLINE, 1},
                         {24, 3, KSPLICE_RANGE_ALTERNATIVE, 2},  // alternative
                         {27, 6, KSPLICE_RANGE_PARAVIRT, 2},
                         {35, 8, KSPLICE_RANGE_RUNTIME_POINTER, 1},
                         {43, 5, KSPLICE_RANGE_STATIC_CALL, 1},
                         {48, 5, KSPLICE_RANGE_RETURN_THUNK, 1}}));
  ASSERT_EQ(ranges.size(), 10u);
  EXPECT_EQ(ranges[0].variants[1].bytes, (std::vector<uint8_t>{0x66, 0x0f, 0x1f, 0x00}));
  EXPECT_EQ(ranges[2].variants[0].bytes, (std::vector<uint8_t>{0x66, 0x90}));
  EXPECT_EQ(ranges[2].variants[1].bytes, (std::vector<uint8_t>{0xeb, 0x01}));
  EXPECT_EQ(ranges[3].variants[1].bytes, (std::vector<uint8_t>{0x3e}));
  EXPECT_EQ(ranges[4].param_number, 9u);
  EXPECT_EQ(ranges[5].variants[0].length, 0);  // nothing but filling
  EXPECT_EQ(ranges[5].variants[1].bytes, (std::vector<uint8_t>{0x0f, 0x01, 0xcb}));
  EXPECT_EQ(ranges[6].variants[1].length, 1);
  auto offset = [&](const char* name) {
    return static_cast<int64_t>(image.unique_symbol(name)->addr - 0xffffffff81000000);
  };
  EXPECT_EQ(ranges[6].param.offset, offset("pv_slot"));
  EXPECT_EQ(ranges[7].param.offset, offset("value"));
  EXPECT_EQ(ranges[8].param.offset, offset("__SCK__hook"));
}

TEST_F(RunRangesTest, RefusesOtherTables) {
  Object pre = read_object(assemble("pre.S", Function, "jmp 2f"));
  auto status = [&](const std::string& from, const std::string& to) {
    std::string text = Function;
    size_t at = from.empty() ? text.size() : text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    MatchResult result = match_run_pre(pre, link(assemble("run.S", text, "xchg %ax, %ax")));
    return result.find(pre.find_symbol("f"))->status;
  };
  EXPECT_EQ(status("1b - ., 2b - .", "1b - ., 3b - ."), MatchStatus::Mismatched) << "jump target";
  EXPECT_EQ(status("key + KEYFLAGS", "value + KEYFLAGS"), MatchStatus::Mismatched) << "key";
  EXPECT_EQ(status("key + KEYFLAGS", "key + 1 + KEYFLAGS"), MatchStatus::Mismatched) << "branch";
  EXPECT_EQ(status(".2byte 301", ".2byte 300"), MatchStatus::Mismatched) << "feature";
  EXPECT_EQ(status("5:  stac", "5:  clac"), MatchStatus::Mismatched) << "replacement";
  EXPECT_EQ(status("3b - ., 3\n", "4b - ., 3\n"), MatchStatus::Mismatched) << "fixup";
  EXPECT_EQ(status("3b - ., 3\n", "3b - ., 4\n"), MatchStatus::Mismatched) << "exception type";
  EXPECT_EQ(status(".2byte 77, 0x901", ".2byte 77, 0"), MatchStatus::Mismatched) << "BUG, not WARN";
  EXPECT_EQ(status(".2byte 77, 0x901", ".2byte 99, 0x901"), MatchStatus::Matched) << "line";
  EXPECT_EQ(status("__SCK__hook - .", "value - ."), MatchStatus::Mismatched) << "static call's key";
  EXPECT_EQ(status("__SCK__hook - .", "__SCK__hook + 1 - ."), MatchStatus::Mismatched)
      << "tail call";
  EXPECT_EQ(status("thunk_r9", "thunk_r9"), MatchStatus::Matched) << "nothing changed";
}

// Entries that only the image has: code that is equal in every byte, and means something else.
TEST_F(RunRangesTest, RefusesFurtherEntries) {
  Object pre = read_object(assemble("pre.S", Function, "jmp 2f"));
  auto status = [&](const std::string& more) {
    MatchResult result =
        match_run_pre(pre, link(assemble("run.S", Function + more, "xchg %ax, %ax")));
    return result.find(pre.find_symbol("f"))->status;
  };
  EXPECT_EQ(status("    .section __jump_table, \"aw\"\n .long 3b - ., 2b - .\n .quad key - .\n"),
            MatchStatus::Mismatched);
  EXPECT_EQ(status("    .section .altinstructions, \"a\"\n .long 4b - ., 6b - .\n .2byte 9\n"
                   " .byte 10, 1\n"),
            MatchStatus::Mismatched);
  EXPECT_EQ(status("    .section __ex_table, \"a\"\n .long 4b - ., 3b - ., 3\n"),
            MatchStatus::Mismatched);
  EXPECT_EQ(status("    .section .static_call_sites, \"a\"\n .long 4b - ., __SCK__hook - .\n"),
            MatchStatus::Mismatched);
}

TEST_F(RunRangesTest, WantsTheNopOfAJumpLabel) {
  Object pre = read_object(assemble("pre.S", Function, "jmp 2f"));
  for (const char* other : {"mov %eax, %eax", "push %rax; pop %rax", "jmp 2f"}) {
    MatchResult result = match_run_pre(pre, link(assemble("run.S", Function, other)));
    EXPECT_EQ(result.find(pre.find_symbol("f"))->status, MatchStatus::Mismatched) << other;
  }
}

}  // namespace
}  // namespace ksplice
