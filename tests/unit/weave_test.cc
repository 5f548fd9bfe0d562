#include "create/weave.h"

#include <gtest/gtest.h>

namespace ksplice {
namespace {

constexpr const char* Source =
    "static int one(void)\n{\n\tint a = 1;\n\treturn a;\n}\n\n"
    "static int\ntwo(struct foo *foo,\n    int b)\n{\nout:\n\treturn b;\n}\n\nint last;\n";

std::optional<std::string> read_source(const std::string& path) {
  return path == "a.c" ? std::optional<std::string>(Source) : std::nullopt;
}

Patch patch_of(const std::string& hunks, const std::string& name = "p") {
  return parse_patch("--- a/a.c\n+++ b/a.c\n" + hunks, 1, name);
}

// Takes a line of one() away and brings two others.
const std::string First =
    "@@ -2,3 +2,4 @@\n {\n-\tint a = 1;\n+\tint a = 2;\n+\ta++;\n \treturn a;\n";
// Stands on a line that First brings, and says wrongly where it is.
const std::string Second = "@@ -20,2 +20,3 @@\n \ta++;\n+\ta--;\n \treturn a;\n";

TEST(Weave, NamesEachLine) {
  std::vector<Patch> patches = {patch_of(First), patch_of(Second)};
  Weave woven = weave(patches, {}, read_source);
  ASSERT_EQ(woven.hunks.size(), 2u);
  EXPECT_TRUE(woven.all_placed(0));
  EXPECT_TRUE(woven.all_placed(1));
  const std::vector<WovenLine>& lines = woven.files.at("a.c");
  EXPECT_EQ(lines[2].text, "\tint a = 2;");
  EXPECT_EQ(lines[2].name, (LineName{0, 1}));
  EXPECT_EQ(lines[3].name, (LineName{0, 2}));
  EXPECT_EQ(lines[4].text, "\ta--;");
  EXPECT_EQ(lines[4].name, (LineName{1, 1}));
  EXPECT_EQ(lines[5].text, "\treturn a;");
  EXPECT_EQ(lines[5].name.number, 4u);
  EXPECT_LT(lines[5].name.hunk, 0);
  // Behind the new lines: what was taken away stood in front of the next old one.
  EXPECT_EQ(lines[5].taken_before, (std::vector<int>{0}));
  EXPECT_EQ(woven.hunks[1].stands_on, (std::vector<LineName>{{0, 2}, {lines[5].name.hunk, 4}}));
}

TEST(Weave, LeavesOut) {
  std::vector<Patch> patches = {patch_of(First), patch_of(Second),
                                patch_of("@@ -15 +15 @@\n-int last;\n+int very_last;\n")};
  Weave woven = weave(patches, {0}, read_source);
  EXPECT_FALSE(woven.all_placed(0));
  EXPECT_FALSE(woven.all_placed(1));  // its line is not there
  EXPECT_TRUE(woven.all_placed(2));
  EXPECT_EQ(woven.files.at("a.c")[14].name, (LineName{2, 1}));
}

TEST(Weave, FilesThatComeGoAndMove) {
  std::vector<Patch> patches = {
      parse_patch("--- /dev/null\n+++ b/new.c\n@@ -0,0 +1,2 @@\n+one\n+two\n", 1, "p"),
      parse_patch("diff --git a/a.c b/b.c\nsimilarity index 90%\nrename from a.c\nrename to b.c\n"
                  "--- a/a.c\n+++ b/b.c\n@@ -15 +15 @@\n-int last;\n+int now;\n",
                  1, "p"),
      parse_patch("--- a/new.c\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-one\n-two\n", 1, "p")};
  Weave woven = weave(patches, {}, read_source);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(woven.all_placed(i)) << i;
  EXPECT_EQ(woven.files.at("a.c").size(), 1u);
  EXPECT_EQ(woven.files.at("new.c").size(), 1u);
  EXPECT_EQ(woven.files.at("new.c")[0].taken_before, (std::vector<int>{2}));
  EXPECT_EQ(woven.files.at("b.c")[14].text, "int now;");
  EXPECT_EQ(woven.files.at("b.c")[13].name.number, 14u);
  EXPECT_TRUE(weave(patches, {0}, read_source).all_placed(1));
}

TEST(Weave, SeveralHunksMoveTogether) {
  // Both say one line too little.
  std::vector<Patch> patches = {
      patch_of("@@ -2,2 +2,3 @@\n \tint a = 1;\n+\ta++;\n \treturn a;\n"
               "@@ -11,2 +12 @@\n-\treturn b;\n }\n")};
  Weave woven = weave(patches, {}, read_source);
  EXPECT_TRUE(woven.all_placed(0));
  EXPECT_EQ(woven.files.at("a.c")[3].text, "\ta++;");
  EXPECT_EQ(woven.files.at("a.c")[12].text, "}");
}

TEST(Blocks, OfFunctionsAndData) {
  std::vector<WovenLine> lines = weave({patch_of(First)}, {1}, read_source).files["a.c"];
  lines.clear();
  for (const std::string& line : lines_of_text(Source)) lines.push_back({line, {}, {}});
  lines.emplace_back();
  using Range = std::pair<size_t, size_t>;
  EXPECT_EQ(find_block(lines, 2), Range(0, 4));
  EXPECT_EQ(find_block(lines, 4), Range(0, 4));
  EXPECT_EQ(find_block(lines, 5), std::nullopt);
  EXPECT_EQ(find_block(lines, 11), Range(6, 12));  // past the label, from the type's line
  EXPECT_EQ(find_block(lines, 14), Range(14, 14));
  EXPECT_EQ(find_block(lines, 15), std::nullopt);
}

TEST(Blocks, Names) {
  EXPECT_EQ(name_of_block("static int two(struct foo *foo,"), "two()");
  EXPECT_EQ(name_of_block("__printf(1, 2) static void say(const char *text, ...)"), "say()");
  EXPECT_EQ(name_of_block("struct foo {"), "struct foo");
  EXPECT_EQ(name_of_block("static int (*hook)(void) = NULL;"), "static int (*hook)(void) = NULL;");
  EXPECT_EQ(name_of_block("static const int table[] = {"), "static const int table[]");
}

TEST(Blocks, OfAHunk) {
  std::vector<Patch> patches = {patch_of(First), patch_of("@@ -12 +12,0 @@\n-\treturn b;\n"),
                                patch_of("@@ -14,0 +15,4 @@\n+int three(void)\n+{\n+}\n+\n")};
  Weave woven = weave(patches, {}, read_source);
  auto names = [&](size_t hunk) {
    std::set<std::string> names;
    for (const WovenBlock& block : woven.hunks[hunk].blocks) names.insert(block.name);
    return names;
  };
  EXPECT_EQ(names(0), (std::set<std::string>{"one()"}));
  EXPECT_EQ(names(1), (std::set<std::string>{"two()"}));
  EXPECT_EQ(names(2), (std::set<std::string>{"three()"}));
  EXPECT_TRUE(woven.hunks[0].blocks[0].is_function);
}

}  // namespace
}  // namespace ksplice
