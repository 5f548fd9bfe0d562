// What new code has in special sections.
#include <elf.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/update_samples.h"

namespace ksplice {
namespace {

using namespace test;

// "CODE SYMBOL" of all that is refused in the change of pre to post.
std::string refused(const std::string& post, const std::string& pre) {
  std::string text;
  for (const Refusal& refusal : make(post, pre).update.refusals)
    text += refusal.code + " " + refusal.symbol + "\n";
  return text;
}

// `other` has no landing pad any more: called through a pointer, it is a trap.
TEST(UpdateSpecial, AddressOfASealedFunctionIsRefused) {
  auto source = [](const std::string& body) {
    return "asm(\".pushsection .ibt_endbr_seal, \\\"a\\\"; .long other - .; .popsection\");\n"
           "int other(int x) { return x - 1; } int third(int x) { return x - 2; }\n"
           "typedef int (*Call)(int);\nCall target(int x) { " +
           body + " }\n";
  };
  const std::string pre = source("return x ? third : 0;");
  EXPECT_EQ(refused(source("return x ? other : 0;"), pre), "sealed_function other\n");
  EXPECT_EQ(refused(source("static const Call calls[] = {0, other}; return calls[x];"), pre),
            "sealed_function other\n");
  EXPECT_EQ(refused(source("return other(x) ? third : 0;"), pre), "");
}

// The compiler gives a pad to functions whose address something takes.
TEST(UpdateSpecial, AddressOfAFunctionWithoutAPadIsRefused) {
  auto source = [](const std::string& tables, const std::string& body) {
    return tables +
           "extern int hidden(int);\n#define pad __attribute__((noipa))\n"
           "static pad int called(int x) { return hidden(x) - 1; }\n"
           "typedef int (*Call)(int);\nint first(int x) { return called(x); }\n"
           "Call target(int x) { " +
           body + " }\n";
  };
  const std::string tracked =
      "asm(\".pushsection .ibt_endbr_seal, \\\"a\\\"; .long 0; .popsection\");\n";
  const std::string pre = source(tracked, "return 0;");
  EXPECT_EQ(refused(source(tracked, "return called;"), pre), "sealed_function called\n");
  EXPECT_EQ(refused(source(tracked, "return called(x) ? (Call)0 : (Call)8;"), pre), "");
  EXPECT_EQ(refused(source(tracked, "return called;"), source(tracked, "called(x); return 0;")),
            "sealed_function called\n");
  const std::string before = source(tracked, "return called;");
  EXPECT_EQ(refused(source(tracked, "return x ? called : 0;"), before), "");
  // A kernel without such tracking.
  EXPECT_EQ(refused(source("", "return called;"), source("", "return 0;")), "");
}

// Both functions load the runtime constant `gone`, and target gets another number.
std::string with_constant(const std::string& variable, int number) {
  const char* load =
      "({{ long v; asm(\"movabs $0x0123456789abcdef, %0; 1:\\n\""
      "\".pushsection runtime_ptr_gone, \\\"a\\\"; .long 1b - 8 - .; .popsection\" : \"=r\"(v)); "
      "v; }})";
  return fmt::format(
      fmt::runtime("{0} long target(long x) {{ return " + std::string(load) +
                   " + x * {1}; }} long other(long x) {{ return " + load + " - x; }}"),
      variable, number);
}

// Another place of it in code is no variable: a kprobe may write over that at any time.
TEST(UpdateSpecial, RuntimeConstantWithoutAVariableIsRefused) {
  EXPECT_EQ(refused(with_constant("", 7), with_constant("", 3)), "unknown_section target\n");
  for (const std::string scope : {"", "static __attribute__((used)) "}) {
    const std::string variable = scope + "unsigned long gone = 1;";
    EXPECT_EQ(refused(with_constant(variable, 7), with_constant(variable, 3)), "") << scope;
  }
}

// The code hands over its entry, as a WARN with arguments does, and the table ends before it does.
TEST(UpdateSpecial, EntryOfATrapThatIsCutOffIsRefused) {
  const char* with_trap =
      "void* target(void) {{ void* entry; asm volatile(\"1: ud2; lea 2f(%%rip), %0\\n"
      ".pushsection __bug_table, \\\"aw\\\"; .balign 4; 2: .long 1b - ., 0; .short 0{}; "
      ".popsection\""
      ": \"=r\"(entry)); return entry; }}";
  const char* pre = "void* target(void) { return 0; }";
  EXPECT_EQ(refused(fmt::format(fmt::runtime(with_trap), ", 0"), pre), "");
  const std::string text = refused(fmt::format(fmt::runtime(with_trap), ""), pre);
  EXPECT_NE(text.find("unnamed_data"), std::string::npos) << text;
}

// The replacement of `other`, which begins where the empty one of `target` does, jumps into
// `other`.
std::string with_empty_replacement(int number) {
  return fmt::format(
      R"(#define ALTERNATIVE(code, replacement, length) asm volatile( \
  "1: " code "\n2: .pushsection .altinstructions, \"a\"; .long 1b - ., 3f - .; .short 5;" \
  " .byte 2b - 1b, " length "; .popsection; .pushsection .altinstr_replacement, \"ax\"; 3: " \
  replacement "; .popsection; 4:")
int target(int x) {{ ALTERNATIVE("nop", "", "0"); return x * {}; }}
int other(int x) {{ ALTERNATIVE(".byte 0x0f, 0x1f, 0x44, 0, 0", "jmp 4f", "5"); return x - 1; }})",
      number);
}

TEST(UpdateSpecial, AnEmptyReplacementBringsNoneOfAnother) {
  const Made made = make(with_empty_replacement(7), with_empty_replacement(3));
  EXPECT_TRUE(made.update.refusals.empty()) << made.update.refusals.front().message;
  for (const auto& section : made.update.object.sections)
    EXPECT_FALSE(section->name.starts_with(".altinstr_replacement")) << section->name;
}

// A key of another unit.
TEST(UpdateSpecial, AKeyThatIsReadOnlyByNowIsRefused) {
  auto neighbour = [](const std::string& before, const std::string& behind) {
    return "asm(\".pushsection .keys, \\\"aw\\\"; .globl key, __start_ro_after_init, "
           "__end_ro_after_init; " +
           before + " key: .quad 0, 0; " + behind + " .popsection\");\n";
  };
  const std::string start = "__start_ro_after_init:", end = "__end_ro_after_init:";
  const std::string pre = "int target(int x) { return x; }";
  const std::string post =
      "int target(int x) { asm goto(\"1: .byte 0x0f, 0x1f, 0x44, 0, 0\\n"
      ".pushsection __jump_table, \\\"aw\\\"; .balign 8; .long 1b - ., %l[on] - .; "
      ".quad key - .; .popsection\" :::: on); return x; on: return x + 1; }";
  auto codes = [&](const std::string& running) {
    std::string text;
    for (const Refusal& refusal : make(post, pre, {"", running}).update.refusals)
      text += refusal.code + " " + refusal.symbol + "\n";
    return text;
  };
  EXPECT_EQ(codes(neighbour(start, end)), "static_key key\n");
  EXPECT_EQ(codes(neighbour(start + end, "")), "");
}

// The new code counts on what h() leaves alone, by way of f(), which is the same in both.
TEST(UpdateSpecial, WhatNewCodeComesToMustBeWhatWasCompiled) {
  auto source = [](const std::string& h, const std::string& change) {
    return "int a, v; extern void hidden_use(int*);\n#define noinline __attribute__((noinline))\n"
           "static noinline int h(void) { " +
           h + "return a; }\nstatic noinline int f(int x) { return h() + x; }\n" +
           "int target(int x) { v = x; int r = f(x); " + change + "return r; }\n" +
           "int other(int x) { return h() - f(x); }\n";
  };
  const std::string pre = source("", ""), post = source("", "r += v; ");
  const Made right = make(post, pre);
  EXPECT_TRUE(right.update.refusals.empty()) << right.update.refusals.front().message;
  const Made wrong = make(post, pre, {source("v++; ", ""), ""});
  ASSERT_EQ(wrong.update.refusals.size(), 1U);
  EXPECT_EQ(wrong.update.refusals.front().code, "no_match");
  EXPECT_EQ(wrong.update.refusals.front().symbol, "h");
}

// A later update of the function redirects the entry that was there at the start.
TEST(UpdateSpecial, ACallInAReplacementGoesToTheOldEntry) {
  auto source = [](int number) {
    return fmt::format(
        R"(__attribute__((noipa)) int callee(int x) {{ return x * {0}; }}
int target(int x) {{ asm volatile("1: .byte 0x0f, 0x1f, 0x44, 0, 0\n2: .pushsection .altinstructions, \"a\";"
  " .long 1b - ., 3f - .; .short 5; .byte 2b - 1b, 5; .popsection; .pushsection .altinstr_replacement, \"ax\";"
  " 3: call callee; .popsection" ::: "memory"); return x - {0}; }})",
        number);
  };
  const Made made = make(source(7), source(3));
  ASSERT_TRUE(made.update.refusals.empty()) << made.update.refusals.front().message;
  size_t calls = 0;
  for (const auto& section : made.update.object.sections)
    if (section->name.starts_with(".altinstr_replacement"))
      for (const Relocation& relocation : section->relocations) {
        ++calls;
        EXPECT_EQ(relocation.symbol->shndx, SHN_ABS) << relocation.symbol->name;
      }
  EXPECT_EQ(calls, 1U);
}

// What the patch exports from the kernel for a module, and what of it new code of the module does.
TEST(UpdateSpecial, AddressOfAnotherTargetsFunctionWithoutAPadIsRefused) {
  auto refusals = [](const std::string& body, bool call_only) {
    const std::string head = "extern int shown(int);\ntypedef int (*Call)(int);\n";
    const Made made = make(head + "Call target(int x) { " + body + " }",
                           head + "Call target(int x) { return 0; }");
    RunImage module = made.image;
    module.target = "m";
    UpdateInfo info = {"abc", "text", 1};
    info.neighbours["shown"] = {.target = "vmlinux",
                                .module = "",
                                .existing = made.image.locate(made.image.symbols.front().addr),
                                .why_not = "",
                                .call_only = call_only};
    const Unit unit{"unit.o", &made.pre, &made.post, &made.diff, &made.match};
    std::string text;
    for (const Refusal& refusal : make_update_object({unit}, module, made.image, info).refusals)
      text += refusal.code + " " + refusal.symbol + "\n";
    return text;
  };
  EXPECT_EQ(refusals("return shown;", true), "sealed_function shown\n");
  EXPECT_EQ(refusals("return shown;", false), "");
  EXPECT_EQ(refusals("return (Call)(long)shown(x);", true), "");
}

}  // namespace
}  // namespace ksplice
