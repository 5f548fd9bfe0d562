#include "objdiff/object/atoms.h"

#include <elf.h>
#include <gtest/gtest.h>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"
#include "objdiff/object/elf_read.h"

namespace ksplice {
namespace {

Object assemble(const std::string& text) {
  const TempDir directory;
  const std::string source = directory.path() / "a.s", object = directory.path() / "a.o";
  write_file(source, text);
  const CommandResult result = run_command({"gcc", "-c", source, "-o", object});
  if (result.status != 0) throw Error("failed", result.output);
  return read_object(object);
}

Reference reference_at(const Atoms& atoms, const std::string& section, size_t index) {
  const Section* from = atoms.object().find_section(section);
  return atoms.resolve(*from, from->relocations.at(index));
}

TEST(Atoms, SplitsSectionsThatHoldSeveralThings) {
  const Object object = assemble(R"(
    .section .data..read_mostly,"aw"
    .type a, @object
    .size a, 4
a:  .long 1
    .type b, @object
    .size b, 8
b:  .quad 2
    .section .rodata.str1.1,"aMS",@progbits,1
    .asciz "one"
    .asciz "two!"
    .section .rodata.cst8,"aM",@progbits,8
    .quad 1, 2
)");
  const Atoms atoms(object);
  const auto data = atoms.in(object.find_section(".data..read_mostly"));
  ASSERT_EQ(data.size(), 2u);
  EXPECT_EQ(data[0]->name, "a");
  EXPECT_EQ(data[1]->name, "b");
  EXPECT_EQ(data[1]->size, 8u);
  const auto strings = atoms.in(object.find_section(".rodata.str1.1"));
  ASSERT_EQ(strings.size(), 2u);
  EXPECT_EQ(strings[1]->offset, 4u);
  EXPECT_EQ(strings[1]->size, 5u);
  EXPECT_EQ(strings[1]->kind, AtomKind::String);
  EXPECT_EQ(atoms.in(object.find_section(".rodata.cst8")).size(), 2u);
}

TEST(Atoms, GivesCallPaddingToItsFunction) {
  const Object object = assemble(R"(
    .section .text.f,"ax"
    .skip 16, 0x90
    .type f, @function
f:  endbr64
    ret
    .size f, . - f
)");
  const Atoms atoms(object);
  const Atom* f = atoms.of(object.find_symbol("f"));
  ASSERT_NE(f, nullptr);
  EXPECT_EQ(f->offset, 0u);
  EXPECT_EQ(f->entry, 16u);
  EXPECT_EQ(atoms.at(f->section, 0), f);
}

TEST(Atoms, CorrectsPcRelativeAddendsToTheEndOfTheInstruction) {
  const Object object = assemble(R"(
    .text
    .type f, @function
f:  movl $7, x+4(%rip)
    lea x+4(%rip), %rax
    movq $x+4, %rax
    ret
    .size f, . - f
    .data
    .type pad, @object
    .size pad, 8
pad: .quad 0
    .type x, @object
    .size x, 8
x:  .quad 0
)");
  const Atoms atoms(object);
  for (size_t i = 0; i < 3; ++i) {
    const Reference reference = reference_at(atoms, ".text", i);
    ASSERT_NE(reference.atom, nullptr) << i;
    EXPECT_EQ(reference.atom->name, "x") << i;
    EXPECT_EQ(reference.offset, 4) << i;
  }
}

TEST(Atoms, MakesRelocationsForBranchesBetweenFunctionsOfASection) {
  Object object = assemble(R"(
    .section .sched.text,"ax"
    .type g, @function
g:  ret
    .size g, . - g
    .type f, @function
f:  call g
    jmp 1f
1:  jmp g
    .size f, . - f
)");
  Section* section = object.find_section(".sched.text");
  EXPECT_TRUE(section->relocations.empty());
  normalise(object);
  ASSERT_EQ(section->relocations.size(), 2u);
  EXPECT_EQ(section->relocations[0].type, static_cast<uint32_t>(R_X86_64_PLT32));
  EXPECT_EQ(section->relocations[1].type, static_cast<uint32_t>(R_X86_64_PC8));
  {
    const Atoms atoms(object);
    for (const Relocation& relocation : section->relocations) {
      const Reference reference = atoms.resolve(*section, relocation);
      ASSERT_NE(reference.atom, nullptr);
      EXPECT_EQ(reference.atom->name, "g");
    }
    EXPECT_EQ(reference_at(atoms, ".sched.text", 0).offset, 0);
  }
  normalise(object);
  EXPECT_EQ(section->relocations.size(), 2u);
}

TEST(PlainName, DropsWhatTheCompilerNumbers) {
  EXPECT_EQ(plain_name("foo.isra.0.cold"), "foo.isra.cold");
  EXPECT_EQ(plain_name("__key.12"), "__key");
  EXPECT_EQ(plain_name("CSWTCH.45"), "CSWTCH");
  EXPECT_EQ(plain_name("foo.llvm.123456"), "foo");
  EXPECT_EQ(plain_name("__UNIQUE_ID_ddebug706.26"), "__UNIQUE_ID_ddebug");
  EXPECT_EQ(plain_name("__UNIQUE_ID___addressable_f1101"), "__UNIQUE_ID___addressable_f");
  EXPECT_EQ(plain_name("__initcall__kmod_x__200_330_start6"), "__initcall__kmod_x__start6");
  EXPECT_EQ(plain_name("md5_transform"), "md5_transform");
  EXPECT_EQ(plain_name(".str.3"), ".str");
}

}  // namespace
}  // namespace ksplice
