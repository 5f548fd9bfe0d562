// What an image of 7.3 has otherwise than those before: where data lies, and constants that only
// code knows.
#include <gtest/gtest.h>

#include <array>

#include "kmod-core/ksplice_abi.h"
#include "tests/unit/small_kernel.h"

namespace ksplice {
namespace {

using namespace test;

const char* const Rest =
    "const char linux_banner[] = \"Linux version 7.3.4-test (builder) #1\\n\"; int far = 1;"
    "unsigned long limit = 1;";

class Kernel7Test : public SmallKernel {
 protected:
  RunImage run(const std::string& name, const std::string& text) {
    return link(
        {shop_.compile("rest.c", Rest, KernelFlags), shop_.compile(name, text, KernelFlags)});
  }
};

// The linker merges code into .data, which makes all of it executable.
TEST_F(Kernel7Test, TakesDataInAnExecutableSectionForData) {
  const std::string text = "int own = 2; int f(int x) { int old = own; own = x; return old; }";
  RunImage image = run("run.c", text +
                                    "__asm__(\".section .data.code, \\\"awx\\\"; .globl inside;"
                                    "inside: ret; .text\");");
  const RunSection* data = image.section_at(image.unique_symbol("own")->addr);
  ASSERT_TRUE(data->exec && data->write);
  Object object = pre("pre.c", text);
  MatchResult result = match_run_pre(object, image);
  EXPECT_EQ(function(object, result, "f").status, MatchStatus::Matched)
      << function(object, result, "f").refusal.message;
  EXPECT_EQ(result.addresses.at(object.find_symbol("own")), image.unique_symbol("own")->addr);
}

// Per-cpu data is linked among the rest, and between the borders of what is freed.
TEST_F(Kernel7Test, LocatesPerCpuDataAsOther) {
  const char* text = ".section .data..percpu, \"aw\"; .globl counter; counter: .quad 0\n";
  RunImage image =
      link({shop_.compile("rest.c", Rest, KernelFlags), shop_.compile("percpu.S", text),
            "-Wl,--unique=.data..percpu", "-Wl,--defsym=__init_begin=counter - 8",
            "-Wl,--defsym=__init_end=counter + 8"});
  const uint64_t counter = image.unique_symbol("counter")->addr;
  ASSERT_EQ(image.section_at(counter)->name, ".data..percpu");
  ASSERT_EQ(image.unique_symbol("__init_begin")->addr, counter - 8);
  EXPECT_FALSE(image.is_freed(counter));
  EXPECT_FALSE(image.locate(counter).percpu);
  EXPECT_EQ(image.locate(counter).offset, static_cast<int64_t>(counter - Base));
}

// gone: the kernel has no variable of it, but another place in code that holds the same.
TEST_F(Kernel7Test, ComparesConstantsWithWhatHoldsThem) {
  const char* text = R"(
	.section CODE, "ax"
	.globl f, g
	.type f, @function
	.type g, @function
f:	movabs $0x0123456789abcdef, %rax
1:	and $0x12345678, %eax
2:	ret
	.size f, . - f
g:	movabs $0x0123456789abcdef, %rcx
3:	ret
	.size g, . - g
	.section runtime_ptr_gone, "a"
	.long 1b - 8 - ., 3b - 8 - .
	.section runtime_mask_limit, "a"
	.long 2b - 4 - .
)";
  RunImage image = link(
      {shop_.compile("rest.c", Rest, KernelFlags), shop_.compile("run.S", text, {"-DCODE=.text"})});
  Object object = read_object(shop_.compile("pre.S", text, {"-DCODE=.text.f"}));
  MatchResult result = match_run_pre(object, image);
  auto offset = [&](const char* name) {
    return static_cast<int64_t>(image.unique_symbol(name)->addr - Base);
  };
  const std::vector<RunRange>& f = function(object, result, "f").run.ranges;
  ASSERT_EQ(f.size(), 2u) << function(object, result, "f").refusal.message;
  EXPECT_EQ(f[0].offset, 2u);
  EXPECT_EQ(f[0].kind, KSPLICE_RANGE_RUNTIME_POINTER);
  EXPECT_EQ(f[0].param.offset, offset("g") + 2);
  EXPECT_EQ(f[1].offset, 11u);
  EXPECT_EQ(f[1].length, 4u);
  EXPECT_EQ(f[1].param.offset, offset("limit"));
  const std::vector<RunRange>& g = function(object, result, "g").run.ranges;
  ASSERT_EQ(g.size(), 1u);
  EXPECT_EQ(g[0].param.offset, offset("f") + 2);
}

// The code is the same with every constant; nobody but the table says which it is.
TEST_F(Kernel7Test, RefusesAnotherConstantAndOneThatNothingProves) {
  const char* text = R"(
	.section CODE, "ax"
	.globl f
	.type f, @function
f:	movabs $0x0123456789abcdef, %rax
1:	ret
	.size f, . - f
	.section CONSTANT, "a"
	.long 1b - 8 - .
)";
  auto compile = [&](const char* name, const std::string& code, const std::string& constant) {
    return shop_.compile(name, text, {"-DCODE=" + code, "-DCONSTANT=" + constant});
  };
  auto match = [&](const std::string& constant, const std::string& in_image) {
    RunImage image =
        link({shop_.compile("rest.c", Rest, KernelFlags), compile("run.S", ".text", in_image)});
    Object object = read_object(compile("pre.S", ".text.f", constant));
    MatchResult result = match_run_pre(object, image);
    const FunctionMatch& f = function(object, result, "f");
    return f.status == MatchStatus::Matched ? "matched" : f.refusal.message;
  };
  const std::vector<std::array<std::string, 3>> cases = {
      {"runtime_ptr_limit", "runtime_ptr_limit", "matched"},
      {"runtime_ptr_limit", "runtime_ptr_far", "constant ptr_limit is ptr_far in the image"},
      {"runtime_ptr_limit", ".rodata.none", "constant ptr_limit is none in the image"},
      {".rodata.none", "runtime_ptr_limit", "the image has other runtime constants"},
      {"runtime_ptr_gone", "runtime_ptr_gone", "nothing to prove the value of"}};
  for (const auto& [constant, in_image, said] : cases) {
    const std::string answer = match(constant, in_image);
    EXPECT_NE(answer.find(said), std::string::npos)
        << constant << " " << in_image << ": " << answer;
  }
}

}  // namespace
}  // namespace ksplice
