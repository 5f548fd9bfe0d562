// What new code has in special sections.
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

}  // namespace
}  // namespace ksplice
