// The numbers of lines in an original's tables are exchanged instead of compiling it once more, and
// only where nothing else can be a number of a line.
#include "create/renumber.h"

#include <gtest/gtest.h>

#include "create/pairs.h"
#include "objdiff/object/elf_read.h"
#include "objdiff/object/elf_write.h"
#include "tests/unit/compile.h"

namespace ksplice {
namespace {

// As the kernel has them; one line, so that those of the functions can be counted.
const std::string Head = R"(
#define BUG() asm volatile("1: ud2\n.pushsection __bug_table, \"aw\"\n.long 1b - ., %c0 - .\n.word %c1, 0\n.popsection" :: "i"(__FILE__), "i"(__LINE__))
struct debug { const char *module, *function, *file, *format; unsigned line : 18, class : 6, flags : 8; long key[2]; };
void show(struct debug *debug);
void at(int line);
#define DEBUG(text) ({ static struct debug __attribute__((section("__dyndbg"), aligned(8))) descriptor = { "m", "f", __FILE__, text, __LINE__, 63 }; show(&descriptor); })
)";

class Renumber : public testing::Test {
 protected:
  // What is compared when after takes the place of before, without a third object where that is
  // not needed.
  void compare(const std::string& before, const std::string& after) {
    const std::string old_file = shop_.write("before.c", Head + before);
    const std::string new_file = shop_.write("after.c", Head + after);
    std::vector<MovedFile> files(1);
    files[0].path = "unit.c";
    const std::string moved = moved_text(old_file, new_file, "", &files[0].numbers);
    pre_ = compile("pre", Head + before);
    post_ = compile("post", Head + after);
    moved_ = compile("moved", moved);
    Object object = read_object(pre_);
    renumbered_ = renumber_tables(object, files, get_series("6.1"));
    write_file(shop_.file("renumbered.o"), write_object(object));
    ours_ = diff(shop_.file("renumbered.o"));
    exact_ = diff(moved_);
  }

  // "f: 1, g: 3": what differs, in what way.
  std::string text(const ObjectDiff& diff) const {
    std::string text;
    for (const FunctionDiff& function : diff.functions)
      if (function.status != DiffStatus::Same)
        text += function.name + std::to_string(static_cast<int>(function.status)) + " ";
    return text;
  }

  // All in the same place, as UBSAN's records name it.
  std::string compile(const std::string& name, const std::string& source) {
    std::filesystem::create_directories(shop_.file("here"));
    std::vector<std::string> flags = test::TracedFlags;
    for (std::string flag : {std::string("-ffunction-sections"), std::string("-fdata-sections"),
                             "-fmacro-prefix-map=" + shop_.file("here") + "/=../"})
      flags.push_back(flag);
    flags.insert(flags.end(), more_flags_.begin(), more_flags_.end());
    const std::string object = shop_.compile("here/unit.c", source, flags);
    std::filesystem::rename(object, shop_.file(name + ".o"));
    return shop_.file(name + ".o");
  }

  ObjectDiff diff(const std::string& moved) {
    ObjectPair pair;
    pair.pre = pre_, pair.post = post_, pair.moved = moved;
    objects_.push_back(std::make_unique<PairObjects>(compare_pair(pair)));
    return objects_.back()->diff;
  }

  test::Workshop shop_;
  std::vector<std::string> more_flags_;
  std::string pre_, post_, moved_;
  size_t renumbered_ = 0;
  ObjectDiff ours_, exact_;
  std::vector<std::unique_ptr<PairObjects>> objects_;  // the diffs point into them
};

const std::string Warns = "void g(int x) { if (x) BUG(); }\nvoid h(void) { DEBUG(\"h\"); }\n";

TEST_F(Renumber, TablesBelowAHunkGetThePatchsNumbers) {
  compare("int v(int a) { return a; }\n" + Warns,
          "/* two\n lines */\nint v(int a) { return a; }\n" + Warns);
  EXPECT_EQ(renumbered_, 2u);
  EXPECT_TRUE(ours_.is_nothing()) << text(ours_);
  EXPECT_TRUE(exact_.is_nothing()) << text(exact_);
}

TEST_F(Renumber, AFunctionWithOtherInstructionsIsCertain) {
  compare("void f(int a) { at(a); }\n" + Warns,
          "void f(int a)\n{\n\tif (a)\n\t\tat(a);\n}\n" + Warns);
  EXPECT_TRUE(is_certain(ours_));
  EXPECT_EQ(text(ours_), text(exact_));
  EXPECT_EQ(text(ours_), "f1 ");
}

TEST_F(Renumber, ALineInTheCodeNeedsTheCompiler) {
  const std::string more = Warns + "void l(void) { at(__LINE__); }\n";
  compare("void f(int a) { at(a); }\n" + more,
          "void f(int a)\n{\n\tif (a)\n\t\tat(a);\n}\n" + more);
  EXPECT_FALSE(is_certain(ours_));
  EXPECT_EQ(text(ours_), "f1 l1 ");
  EXPECT_EQ(text(exact_), "f1 ");
}

// 7.3 has UBSAN, whose records of lines are data without a name.
TEST_F(Renumber, ALineThatUbsanSaysNeedsTheCompiler) {
  more_flags_ = {"-fsanitize=shift", "-fsanitize=bounds-strict"};
  const std::string checked =
      "int table[4];\nint s(int a, int b) { return a << b; }\nint i(int a) { return table[a]; }\n";
  compare("void f(int a) { at(a); }\n" + checked,
          "void f(int a)\n{\n\tif (a)\n\t\tat(a);\n}\n" + checked);
  EXPECT_EQ(text(exact_), "f1 ");
  EXPECT_TRUE(text(ours_) == "f1 " || !is_certain(ours_)) << text(ours_);
}

// The patch changes a number that could be taken for one of a line: the compiler says it.
TEST_F(Renumber, AnotherConstantNeedsTheCompiler) {
  compare("void f(void) { at(7); }\n" + Warns, "\nvoid f(void) { at(8); }\n" + Warns);
  EXPECT_FALSE(is_certain(ours_));
  EXPECT_EQ(text(exact_), "f1 ");
}

TEST_F(Renumber, ACallOfAnotherFunctionIsCertain) {
  compare("void f(int a) { at(a); }\nvoid by(int);\n" + Warns,
          "void by(int);\n\n\nvoid f(int a) { by(a); }\n" + Warns);
  EXPECT_TRUE(is_certain(ours_));
  EXPECT_EQ(text(ours_), "f1 ");
}

// What the line's number in the table stands beside counts as before.
TEST_F(Renumber, TheRestOfAnEntryCounts) {
  compare("int v(int a) { return a; }\nvoid h(void) { DEBUG(\"h\"); }\n",
          "\nint v(int a) { return a; }\nvoid h(void) { DEBUG(\"i\"); }\n");
  EXPECT_FALSE(ours_.is_nothing());
  EXPECT_FALSE(is_certain(ours_));
}

TEST_F(Renumber, AnotherFilesLinesStay) {
  compare("int v(int a) { return a; }\n" + Warns, "\nint v(int a) { return a; }\n" + Warns);
  Object object = read_object(pre_);
  std::vector<MovedFile> other(1);
  other[0].path = "other/unit.c";
  other[0].numbers.assign(100, 50);
  EXPECT_EQ(renumber_tables(object, other, get_series("6.1")), 0u);
}

}  // namespace
}  // namespace ksplice
