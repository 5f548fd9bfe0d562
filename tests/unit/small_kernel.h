// Links small sources like a kernel, for tests of run-pre matching.
#pragma once

#include <gtest/gtest.h>

#include "objdiff/image/run_image.h"
#include "objdiff/match/run_pre.h"
#include "objdiff/object/elf_read.h"
#include "tests/unit/compile.h"

namespace ksplice::test {

constexpr uint64_t Base = 0xffffffff81000000;

inline const std::vector<std::string> KernelFlags = {"-O2",
                                                     "-mcmodel=kernel",
                                                     "-fno-pic",
                                                     "-mno-red-zone",
                                                     "-fcf-protection=none",
                                                     "-fno-stack-protector",
                                                     "-fno-asynchronous-unwind-tables",
                                                     "-ffreestanding",
                                                     "-fno-unit-at-a-time",
                                                     "-mno-sse"};

inline std::vector<std::string> with(std::vector<std::string> flags,
                                     std::vector<std::string> more) {
  flags.insert(flags.end(), more.begin(), more.end());
  return flags;
}

class SmallKernel : public testing::Test {
 protected:
  // Links the objects like a small kernel: _text at Base, a symbol table, no build id.
  RunImage link(const std::vector<std::string>& objects) {
    std::vector<std::string> argv = {KSPLICE_TEST_CC,
                                     "-nostdlib",
                                     "-static",
                                     "-no-pie",
                                     "-Wl,-Ttext-segment=0xffffffff81000000",
                                     "-Wl,-e,0",
                                     "-Wl,--defsym=_text=0xffffffff81000000",
                                     "-Wl,-z,norelro",
                                     "-Wl,--build-id=none",
                                     KSPLICE_TEST_TABLES,
                                     "-o",
                                     shop_.file("vmlinux")};
    argv.insert(argv.end(), objects.begin(), objects.end());
    shop_.run(argv);
    return read_run_image(shop_.file("vmlinux"));
  }

  Object pre(const std::string& name, const std::string& text,
             const std::vector<std::string>& flags = KernelFlags) {
    return read_object(
        shop_.compile(name, text, with(flags, {"-ffunction-sections", "-fdata-sections"})));
  }

  static void poke(RunImage& image, uint64_t addr, uint8_t flip) {
    auto* section = const_cast<RunSection*>(image.section_at(addr));
    ASSERT_NE(section, nullptr);
    ASSERT_LT(addr - section->addr, section->data.size());
    section->data[addr - section->addr] ^= flip;
  }

  Workshop shop_;
};

inline const FunctionMatch& function(const Object& object, const MatchResult& result,
                                     const char* name) {
  const FunctionMatch* match = result.find(object.find_symbol(name));
  EXPECT_NE(match, nullptr) << name;
  static const FunctionMatch none;
  return match == nullptr ? none : *match;
}

}  // namespace ksplice::test
