// A kernel whose symbols do not tell where a table that describes code lies: CONFIG_KALLSYMS
// without _ALL.
#include "objdiff/image/run_tables.h"

#include "objdiff/base/error.h"
#include "tests/unit/small_kernel.h"

namespace ksplice {
namespace {

using namespace test;

struct RunTablesTest : SmallKernel {
  RunImage image =
      link({shop_.compile("all.c",
                          "const char linux_banner[] = \"Linux version 6.1.0-test #1\\n\";"
                          "int f(int x) { return x * 3; }",
                          KernelFlags)});

  std::string refusal() const {
    try {
      read_run_tables(image);
    } catch (const Error& error) {
      return error.code + ": " + error.what();
    }
    return "";
  }
};

TEST_F(RunTablesTest, ReadsEmptyOnes) {
  EXPECT_EQ(refusal(), "");
  EXPECT_TRUE(read_run_tables(image).jump_labels.empty());
}

TEST_F(RunTablesTest, DoesNotTakeAMissingOneForEmpty) {
  for (const char* border : {"__start___jump_table", "__stop___jump_table", "__alt_instructions",
                             "__alt_instructions_end", "__start___ex_table", "__stop___ex_table",
                             "__start_static_call_sites", "__stop_static_call_sites",
                             "__start___bug_table", "__stop___bug_table"}) {
    const auto kept = image.by_name;
    ASSERT_EQ(image.by_name.erase(border), 1u);
    EXPECT_TRUE(refusal().starts_with("bad_image: ")) << border << ": " << refusal();
    EXPECT_NE(refusal().find(border), std::string::npos) << refusal();
    image.by_name = kept;
  }
  EXPECT_EQ(refusal(), "");
}

// With a section of its own the borders are not needed.
TEST_F(RunTablesTest, FindsTheSection) {
  image.by_name.erase("__start___ex_table");
  RunSection table;
  table.name = "__ex_table";
  table.addr = image.sections.back().addr + 0x100000;
  image.sections.push_back(table);
  EXPECT_EQ(refusal(), "");
}

TEST_F(RunTablesTest, AModuleWithoutTheSectionHasNone) {
  image.target = "fruit";
  image.by_name.clear();
  EXPECT_EQ(refusal(), "");
}

}  // namespace
}  // namespace ksplice
