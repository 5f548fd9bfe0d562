// The code before and after, side by side: what may be another target is never shown as alike.
#include "objdiff/update/update_code.h"

#include <algorithm>

#include "objdiff/object/elf_write.h"
#include "tests/unit/update_samples.h"

namespace ksplice::test {

namespace {

const char* const Source = R"(
extern int exported(int), hidden(int);
__attribute__((noinline)) int other(int x) { return x * 3; }
int target(int x) { return hidden(x) + 1; }
)";

TargetCode read_code(const std::string& from, const std::string& to) {
  std::string post = Source;
  post.replace(post.find(from), from.size(), to);
  const Made made = make(post, Source);
  EXPECT_TRUE(made.update.refusals.empty());
  TempDir dir;
  write_file(dir.path() / "update.o", write_object(made.update.object));
  run(dir, {"ld", "-r", "-o", "module.ko", "update.o"});
  return read_target_code(read_object((dir.path() / "module.ko").string()),
                          made.update.finalization);
}

using Kind = CodeRow::Kind;

// The row that has the text after.
Kind kind_of(const FunctionCode& function, const std::string& after) {
  const auto row = std::ranges::find_if(function.rows, [&](const CodeRow& each) {
    return each.after.find(after) != std::string::npos;
  });
  EXPECT_NE(row, function.rows.end()) << after;
  return row == function.rows.end() ? Kind::Same : row->kind;
}

}  // namespace

TEST(UpdateCode, AnImportBesideWhatHasNoNameIsUnsure) {
  const TargetCode code = read_code("hidden(x)", "exported(x)");
  ASSERT_EQ(code.functions.size(), 1u);
  EXPECT_EQ(kind_of(code.functions[0], "<exported>"), Kind::Unsure);
  EXPECT_EQ(kind_of(code.functions[0], "ret"), Kind::Same);
}

TEST(UpdateCode, AnotherPlaceDiffers) {
  const TargetCode code = read_code("hidden(x)", "other(x)");
  ASSERT_EQ(code.functions.size(), 1u);
  EXPECT_EQ(kind_of(code.functions[0], "<other>"), Kind::New);
}

TEST(UpdateCode, TheSamePlaceIsAlike) {
  const TargetCode code = read_code("+ 1", "+ 2");
  ASSERT_EQ(code.functions.size(), 1u);
  EXPECT_EQ(kind_of(code.functions[0], "<hidden>"), Kind::Same);
}

TEST(UpdateCode, HasTheCodeThatReplacesNone) {
  const TargetCode code = read_code("int target(int x) { return hidden(x)",
                                    "__attribute__((noinline)) static int added(int x) { return "
                                    "hidden(x ^ 77); }\n"
                                    "int target(int x) { return added(x)");
  ASSERT_EQ(code.functions.size(), 1u);
  EXPECT_EQ(kind_of(code.functions[0], "added>"), Kind::New);
  ASSERT_EQ(code.others.size(), 1u);
  EXPECT_NE(code.others[0].name.find("added"), std::string::npos);
  EXPECT_EQ(kind_of(code.others[0], "0x4d"), Kind::New);
}

}  // namespace ksplice::test
