#include "create/origin.h"

#include <gtest/gtest.h>

#include "objdiff/base/file.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

constexpr const char* Header =
    "struct one {\n\tint a;\n\tint b;\n};\n\nstruct two {\n\tint c;\n};\n\n#define LIMIT 3\nint "
    "table[LIMIT];\n";
constexpr const char* Code = "static int get(struct one *one)\n{\n\treturn one->a;\n}\n";

// A header and a unit, three patches, and what became of them.
class OriginTest : public testing::Test {
 protected:
  OriginTest() {
    write_file(source_.path() / "a.h", Header);
    write_file(source_.path() / "a.c", Code);
    patches_ = {
        parse_patch("--- a/a.h\n+++ b/a.h\n@@ -2,3 +2,2 @@\n \tint a;\n-\tint b;\n };\n"
                    "@@ -10 +9 @@\n-#define LIMIT 3\n+#define LIMIT 4\n",
                    1, "x/1.patch"),
        parse_patch("--- a/a.h\n+++ b/a.h\n@@ -6,2 +6,3 @@\n \tint c;\n+\tint d;\n };\n", 1,
                    "x/2.patch"),
        parse_patch("--- a/a.c\n+++ b/a.c\n@@ -3 +3 @@\n-\treturn one->a;\n+\treturn one->b;\n", 1,
                    "x/3.patch")};
    AppliedPatch applied = apply_patches(patches_, {}, source_.path(), staging_.path());
    auto read = [&](const std::string& path) -> std::optional<std::string> {
      return read_text(source_.path() / path);
    };
    origins_ = Origins(patches_, weave(patches_, {}, read), applied.changes);
    changes_ = applied.changes;
  }

  static Refusal refusal(const std::string& code, const std::string& symbol, Declaration declared,
                         const std::string& object = "a.o") {
    Refusal result;
    result.code = code;
    result.symbol = symbol;
    result.object = object;
    result.declared = std::move(declared);
    return result;
  }

  std::vector<Origin> origins_of(const Refusal& one) const {
    std::vector<Refusal> list = {one};
    origins_.name(list, {});
    return list[0].origins;
  }

  std::vector<Origin> origins_of(Error error) const {
    origins_.name(error);
    return error.origins;
  }

  TempDir source_, staging_;
  std::vector<Patch> patches_;
  std::vector<FileChange> changes_;
  Origins origins_;
  const Origin gone_ = {"1.patch", "a.h", "@@ -2,3 +2,2 @@"};
  const Origin limit_ = {"1.patch", "a.h", "@@ -10 +9 @@"};
  const Origin added_ = {"2.patch", "a.h", "@@ -6,2 +6,3 @@"};
  const Origin code_ = {"3.patch", "a.c", "@@ -3 +3 @@"};
  using List = std::vector<Origin>;
};

TEST_F(OriginTest, OfALine) {
  EXPECT_EQ(origins_.of_line("a.c", 3), List{code_});
  EXPECT_EQ(origins_.of_line("a.h", 7), List{added_});
  EXPECT_EQ(origins_.of_line("a.h", 3), List{gone_});  // in front of it
  EXPECT_EQ(origins_.of_line("a.h", 5), List{});
  EXPECT_EQ(origins_.of_line("b.h", 5), List{});
}

TEST_F(OriginTest, OfADeclaration) {
  EXPECT_EQ(origins_of(refusal("type_changed", "struct one", {"../a.h", 1})), List{gone_});
  EXPECT_EQ(origins_of(refusal("type_changed", "struct two", {"a.h", 5})), List{added_});
  // By a macro in it.
  EXPECT_EQ(origins_of(refusal("type_changed", "variable table", {"a.h", 11})), List{limit_});
}

TEST_F(OriginTest, OfANameOrAFile) {
  EXPECT_EQ(origins_of(refusal("export_changed", "LIMIT", {})), List{limit_});
  EXPECT_EQ(origins_of(refusal("unsupported_file", "", {}, "a.c")), List{code_});
  EXPECT_EQ(origins_of(refusal("unknown_section", "nobody", {})), List{});
}

TEST_F(OriginTest, OfACompilersWords) {
  EXPECT_EQ(origins_of(Error("compile_failed",
                             "a.o does not compile with the patch:\n../a.c: In function 'get':\n"
                             "../a.c:3:20: error: 'struct one' has no member named 'b'")),
            List{code_});
  // In a line that no patch brings; the name is in one only.
  EXPECT_EQ(origins_of(Error("compile_failed", "../z.c:7:2: error: 'LIMIT' is too much")),
            List{limit_});
  EXPECT_EQ(origins_of(Error("compile_failed", "../z.c:7:2: error: 'int' is too much")), List{});
  EXPECT_EQ(origins_of(Error("bad_source", "../a.c:3:20: error: 'b'")), List{});
}

TEST_F(OriginTest, CausesBeforeConsequences) {
  std::vector<Refusal> list = {
      refusal("no_ftrace_site", "nobody", {}), refusal("no_match", "other", {}, "b.o"),
      refusal("data_resized", "get", {}), refusal("type_changed", "struct two", {"a.h", 5}),
      refusal("type_changed", "struct one", {"a.h", 1})};
  origins_.name(list, {});
  std::vector<std::string> symbols, follows;
  for (const Refusal& each : list) symbols.push_back(each.symbol), follows.push_back(each.follows);
  EXPECT_EQ(symbols,
            (std::vector<std::string>{"struct one", "struct two", "other", "nobody", "get"}));
  const std::string two = "type_changed of struct two";
  EXPECT_EQ(follows, (std::vector<std::string>{"", "", "", two, two}));
  EXPECT_EQ(list.back().origins, List{added_});
}

TEST_F(OriginTest, AFileThatIsNotAsItWasWovenIsNotKnown) {
  for (const FileChange& change : changes_)
    if (change.path == "a.c") write_file(change.content, "\n" + read_text(change.content));
  auto read = [&](const std::string& path) -> std::optional<std::string> {
    return read_text(source_.path() / path);
  };
  Origins origins(patches_, weave(patches_, {}, read), changes_);
  EXPECT_EQ(origins.of_line("a.c", 3), List{});
  EXPECT_EQ(origins.of_line("a.h", 7), List{added_});
}

TEST_F(OriginTest, OfPatchItself) {
  std::vector<Patch> wrong = {
      patches_[0], parse_patch("--- a/a.h\n+++ b/a.h\n@@ -5 +5 @@\n-struct two {\n+struct two2 {\n"
                               "@@ -9 +9 @@\n-#define LIMIT 3\n+#define LIMIT 5\n",
                               1, "x/4.patch")};
  TempDir staging;
  try {
    apply_patches(wrong, {}, source_.path(), staging.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "patch_failed");
    EXPECT_EQ(error.origins, (List{{"4.patch", "a.h", "@@ -9 +9 @@"}}));
  }
}

}  // namespace
}  // namespace ksplice
