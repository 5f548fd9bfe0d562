// A unit is compiled once more with the command that kbuild recorded, or left to kbuild.
#include "create/recompile.h"

#include <gtest/gtest.h>

#include "objdiff/base/file.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

class Recompile : public testing::Test {
 protected:
  Recompile() {
    kbuild_.tree = folder_.path();
    kbuild_.obj = folder_.path() / "obj";
    fs::create_directories(kbuild_.obj / "a");
    write_file(folder_.path() / "a.h", "int answer(void);\n");
    write("#include \"../a.h\"\nint answer(void) { return 1; }\n");
    known_.name = "a/unit.o";
    known_.target = "vmlinux";
    known_.command =
        "gcc -Wp,-MMD,a/.unit.o.d  -I../a -Wall -DNAME='\"unit\"' -c -o a/unit.o ../a/unit.c  ";
  }

  void write(const std::string& source) {
    fs::create_directories(folder_.path() / "a");
    write_file(folder_.path() / "a/unit.c", source);
  }

  // Nothing is left of it that could be taken for an object.
  void expect_left_to_kbuild() {
    EXPECT_FALSE(recompile(kbuild_, known_));
    EXPECT_FALSE(fs::exists(kbuild_.obj / "a/unit.o"));
  }

  TempDir folder_;
  Kbuild kbuild_;
  BuiltUnit known_;
};

TEST_F(Recompile, GivesWhatKbuildWouldSay) {
  const std::optional<BuiltUnit> built = recompile(kbuild_, known_);
  ASSERT_TRUE(built);
  EXPECT_EQ(built->name, "a/unit.o");
  EXPECT_EQ(built->target, "vmlinux");
  EXPECT_EQ(built->object, kbuild_.obj / "a/unit.o");
  EXPECT_EQ(built->sources, (std::vector<std::string>{"a.h", "a/unit.c"}));
  EXPECT_TRUE(built->checksums.empty());
  EXPECT_EQ(built->command, known_.command);
}

TEST_F(Recompile, LeavesErrorsAndWarningsToKbuild) {
  write("int answer(void) { return x; }\n");
  expect_left_to_kbuild();
  write("int answer(void) { int unused; return 1; }\n");
  expect_left_to_kbuild();
}

TEST_F(Recompile, LeavesWhatIsNotOneCompilationToKbuild) {
  const std::string plain = known_.command;
  const std::vector<std::string> commands = {"",
                                             plain + "; ./tools/objtool/objtool a/unit.o",
                                             "$(CC) " + plain,
                                             "gcc -DA=\\\"b\\\" " + plain.substr(4),
                                             "gcc -c -o a/unit.o ../a/unit.c",
                                             "gcc -Wp,-MMD,a/.unit.o.d -c -o a/other.o ../a/unit.c",
                                             "gcc -Wp,-MMD,a/.unit.o.d -c -o a/unit.o ../a/unit.S"};
  for (const std::string& command : commands) {
    known_.command = command;
    expect_left_to_kbuild();
  }
}

TEST_F(Recompile, LeavesUnitsWhoseSourceAProgramMakesToKbuild) {
  known_.generated = {"lib/crc32table.h"};
  expect_left_to_kbuild();
}

// An export of which kbuild computes a checksum by other means; its marks until 6.3 and since 6.4.
TEST_F(Recompile, LeavesUnknownChecksumsToKbuild) {
  for (const std::string mark : {"__ksymtab_answer", "__export_symbol_answer"}) {
    write("int answer(void) { return 1; }\nint *" + mark + " = (int *)answer;\n");
    write_file(kbuild_.obj / ".config", "#\nCONFIG_MODVERSIONS=y\nCONFIG_GENDWARFKSYMS=y\n");
    expect_left_to_kbuild();
    write_file(kbuild_.obj / ".config", "#\n# CONFIG_MODVERSIONS is not set\n");
    EXPECT_TRUE(recompile(kbuild_, known_));
  }
}

// Checksums come or go: whatever the reason, kbuild knows.
TEST_F(Recompile, LeavesUnitsWhoseExportsAreNotFoundToKbuild) {
  known_.checksums["answer"] = 1;
  expect_left_to_kbuild();
}

TEST_F(Recompile, OnlyChangesOfCKeepTheCommands) {
  FileChange change;
  change.kind = ChangeKind::Modified;
  change.path = change.old_path = "net/core/dev.c";
  EXPECT_TRUE(keeps_commands({change}));
  change.path = "net/core/Makefile";
  EXPECT_FALSE(keeps_commands({change}));
  change.path = "net/core/new.c";
  change.kind = ChangeKind::Added;
  EXPECT_FALSE(keeps_commands({change}));
}

TEST(Dependencies, OfTheCompilersRule) {
  EXPECT_EQ(read_dependencies("a.o: ../a.c \\\n ../include/b.h ../c.h\n"),
            (std::vector<std::string>{"../a.c", "../include/b.h", "../c.h"}));
  EXPECT_TRUE(read_dependencies("").empty());
}

}  // namespace
}  // namespace ksplice
