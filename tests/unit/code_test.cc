#include "objdiff/object/code.h"

#include <gtest/gtest.h>

#include "objdiff/object/elf_read.h"
#include "tests/unit/compile.h"

namespace ksplice {
namespace {

TEST(Code, FindsTheRealTarget) {
  test::Workshop workshop;
  std::string path = workshop.compile("target.S", R"(
    .data
pad: .quad 0
datum: .quad 0, 0
    .text
    movl $1, datum+8(%rip)
    movb $1, datum(%rip)
    lea datum(%rip), %rax
    movq $datum, %rbx
    .data
    .long datum - .
)");
  Object object = read_object(path);
  const Section& text = *object.find_section(".text");
  CodeMap code(object, text);
  ASSERT_EQ(text.relocations.size(), 4u);
  std::vector<int64_t> offsets;
  for (const Relocation& relocation : text.relocations) {
    EXPECT_TRUE(relocation.symbol->is_section());
    offsets.push_back(reloc_target_offset(relocation, &code));
  }
  EXPECT_EQ(offsets, (std::vector<int64_t>{16, 8, 8, 8}));
  EXPECT_EQ(reloc_target_text(object, text.relocations[0], &code), ".data+0x10");
}

TEST(Code, ShowsSymbolsAroundAnOffset) {
  test::Workshop workshop;
  std::string path = workshop.compile("text.c", "void g(void); void f(void) { g(); g(); }",
                                      {"-O2", "-fno-pic", "-fcf-protection=none"});
  Object object = read_object(path);
  const Symbol* f = object.find_symbol("f");
  std::string text = disassemble_around(object, *f->section, f->value, f->value + f->size, 4, 1);
  EXPECT_NE(text.find("=>      4:"), std::string::npos) << text;
  EXPECT_NE(text.find("<g>"), std::string::npos) << text;
}

}  // namespace
}  // namespace ksplice
