#include "create/moved.h"

#include <gtest/gtest.h>

#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

class Moved : public testing::Test {
 protected:
  std::string text(const std::string& before, const std::string& after,
                   const std::string& name = "") {
    write_file(folder_.path() / "before.c", before);
    write_file(folder_.path() / "after.c", after);
    return moved_text(folder_.path() / "before.c", folder_.path() / "after.c", name);
  }

  // What the compiler's preprocessor makes of text, in words; __FILE__ does not count.
  std::string preprocessed(const std::string& text) {
    write_file(folder_.path() / "unit.c", text);
    const CommandResult run =
        run_command({"gcc", "-E", "-P", "-w", (folder_.path() / "unit.c").string()});
    EXPECT_EQ(run.status, 0) << run.output;
    return run.output;
  }

  // The moved text of before gives what after gives: for changes that move lines and nothing else.
  void expect_same(const std::string& before, const std::string& after) {
    const std::string moved = text(before, after);
    EXPECT_NE(preprocessed(before), preprocessed(after)) << "no line moves";
    EXPECT_EQ(preprocessed(moved), preprocessed(after)) << moved;
  }

  TempDir folder_;
};

TEST_F(Moved, GivesEveryLineTheNumberThatItHasInThePatchedFile) {
  EXPECT_EQ(text("a\nb\nc\nd\n", "a\nx\ny\nb\nd\n"), "a\n#line 4\nb\nc\n#line 5\nd\n");
  EXPECT_EQ(text("a\nb\n", "x\na\nb\n"), "#line 2\na\nb\n");
  EXPECT_EQ(text("a\nb", "b"), "a\n#line 1\nb");
}

TEST_F(Moved, LeavesFilesAloneInWhichNoLineMoves) {
  EXPECT_EQ(text("a\nb\nc\n", "a\nx\nc\n"), "a\nb\nc\n");
  EXPECT_EQ(text("a\n", "a\nx\n"), "a\n");
  EXPECT_EQ(text("", "x\n"), "");
}

TEST_F(Moved, NamesARenamedFile) {
  EXPECT_EQ(text("a\nb\n", "x\na\nb\n", "../new.c"), "#line 1 \"../new.c\"\n#line 2\na\nb\n");
}

TEST_F(Moved, FollowsLinesThatAreOnlyIndentedOrBrokenInAnotherWay) {
  EXPECT_EQ(text("{\nw(a);\nw(b);\n}\n", "{\nif (x) {\n\tw(a);\n\tw(b);\n}\n}\n"),
            "{\n#line 3\nw(a);\nw(b);\n#line 6\n}\n");
  EXPECT_EQ(text("f(a,\n  b);\ng();\n", "f(a, b);\ng();\n"), "f(a,\n#line 1\n  b);\ng();\n");
}

TEST_F(Moved, FollowsAChangedLineToTheLineThatIsMostLikeIt) {
  EXPECT_EQ(text("a\nWARN(1, \"twice\");\nb\n", "a\n/* why\n   so */\nWARN(5, \"twice\");\nb\n"),
            "a\n#line 4\nWARN(1, \"twice\");\nb\n");
  EXPECT_EQ(text("w(one);\nw(two);\n", "w(zero);\nw(two, 2);\n"), "w(one);\nw(two);\n");
  EXPECT_EQ(text("f(one, 1);\ng(two, 2);\n", "x();\nf(one, 7);\ny();\ng(two, 8);\n"),
            "#line 2\nf(one, 1);\n#line 4\ng(two, 2);\n");
}

TEST_F(Moved, DoesNotTouchFilesThatNumberTheirLinesThemselves) {
  for (const char* own :
       {"#line 7\n", " # line 7 \"y.y\"\n", "# 7 \"y.y\"\n", "s = R\"(\n#)\";\n"}) {
    EXPECT_EQ(text(own + std::string("a\n"), own + std::string("x\na\n")),
              own + std::string("a\n"));
    EXPECT_EQ(text("a\nb\n", own + std::string("x\na\nb\n")), "a\nb\n");
  }
}

TEST_F(Moved, KeepsTheLinesOfAnythingAMacroMayDo) {
  const std::string head = "#define W(x) w(x, __LINE__)\n#define ID(...) __VA_ARGS__\n";
  for (const std::string body : {
           "W(a);\n",
           "ID(W(a);\nW(b);\n\nW(c));\nW(d);\n",
           "W(a ||\n  b);\nW(c);\n",
           "#define TWO(x) \\\n  W(x); \\\n  W(x)\nTWO(a);\n",
           "W\n(a);\nW(b);\n",
           "W /* the\n arguments */\n\n(a);\nW(b);\n",
           "char *s = \"one \\\n  two \\\" \\\n\";\nW(a);\n",
           "char *s = \"\\\\\\\n\\n\"; W(a);\n",
           "/* don't\n \" */ W(a);\n// that's it \\\n as well\nW(b);\n",
           "#if 0\nit's W(a)\n#elif 1\nW(b)\n#else\nW(c)\n#endif\nW(d);\n",
           "#ifdef NOT\nW(a)\n#endif\nW(b);\n",
           "char c = '\"'; W(a);\nchar d = '\\'';\nW(b);\n",
       }) {
    expect_same(head + body, head + "\n\n" + body);
    expect_same(head + "int x;\n\n\n\n" + body, head + "int x;\n" + body);
    // A change in the middle of every kind.
    const size_t end = body.find('\n') + 1;
    const std::string middle = body.substr(0, end) + "\n" + body.substr(end);
    if (body.find('\\') == body.npos && body.find("//") == body.npos && end < body.size())
      expect_same(head + body + "W(z);\n", head + middle + "W(z);\n");
  }
}

TEST_F(Moved, WaitsUntilALineThatMayFollowADirective) {
  EXPECT_EQ(text("#define A \\\n b\nW(c)\n", "#define A \\\n x \\\n b\nW(c)\n"),
            "#define A \\\n b\n#line 4\nW(c)\n");
  EXPECT_EQ(text("/* a\n b */\nW(c)\n", "/* a\nx\n b */\nW(c)\n"), "/* a\n b */\n#line 4\nW(c)\n");
  EXPECT_EQ(text("W\n(a)\n;\n", "W\n\n\n(a)\n;\n"), "W\n(a)\n#line 5\n;\n");
}

TEST_F(Moved, SaysItAgainWhereAConditionMayHaveLeftItOut) {
  EXPECT_EQ(text("#if A\na\n#else\nb\n#endif\nc\n", "#if A\nx\na\n#else\nb\n#endif\nc\n"),
            "#if A\n#line 3\na\n#else\n#line 5\nb\n#endif\n#line 7\nc\n");
}

TEST_F(Moved, WritesTheFilesWhoseLinesMove) {
  const fs::path source = folder_.path() / "source", patched = folder_.path() / "patched";
  for (const fs::path& top : {source, patched}) fs::create_directories(top / "fs");
  write_file(source / "fs/a.c", "a\nb\n");
  write_file(patched / "fs/a.c", "x\na\nb\n");
  write_file(source / "fs/b.c", "a\nb\n");
  write_file(patched / "fs/b.c", "a\nx\n");
  write_file(source / "fs/c.c", "a\n");
  write_file(patched / "fs/d.c", "a\nx\n");
  write_file(patched / "fs/new.c", "a\n");
  write_file(source / "entry.S", "a\n");
  write_file(patched / "entry.S", "x\na\n");
  const std::vector<FileChange> changes = {
      {ChangeKind::Modified, "fs/a.c", "fs/a.c", patched / "fs/a.c"},
      {ChangeKind::Modified, "fs/b.c", "fs/b.c", patched / "fs/b.c"},
      {ChangeKind::Renamed, "fs/d.c", "fs/c.c", patched / "fs/d.c"},
      {ChangeKind::Added, "fs/new.c", "", patched / "fs/new.c"},
      {ChangeKind::Modified, "entry.S", "entry.S", patched / "entry.S"},
  };
  const std::vector<MovedFile> files = make_moved(changes, source, folder_.path() / "moved", "../");
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].path, "fs/a.c");
  EXPECT_EQ(read_text(files[0].content), "#line 2\na\nb\n");
  EXPECT_EQ(files[1].path, "fs/c.c");
  EXPECT_EQ(read_text(files[1].content), "#line 1 \"../fs/d.c\"\na\n");
}

}  // namespace
}  // namespace ksplice
