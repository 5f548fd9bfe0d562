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

  std::string compile(const std::string& folder, const std::string& source) {
    std::filesystem::create_directories(shop_.file(folder));
    std::vector<std::string> flags = test::TracedFlags;
    for (std::string flag : {std::string("-ffunction-sections"), std::string("-fdata-sections"),
                             "-fmacro-prefix-map=" + shop_.file(folder) + "/=../"})
      flags.push_back(flag);
    return shop_.compile(folder + "/unit.c", source, flags);
  }

  ObjectDiff diff(const std::string& moved) {
    ObjectPair pair;
    pair.pre = pre_, pair.post = post_, pair.moved = moved;
    objects_.push_back(std::make_unique<PairObjects>(compare_pair(pair)));
    return objects_.back()->diff;
  }

  test::Workshop shop_;
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
