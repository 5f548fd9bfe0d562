#include "create/outside.h"

#include <gtest/gtest.h>

#include "objdiff/base/file.h"
#include "objdiff/base/process.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

fs::path assemble(const TempDir& folder, const std::string& name, const std::string& text,
                  const std::string& option = "-m64") {
  fs::path source = folder.path() / (name + ".S"), object = folder.path() / (name + ".o");
  write_file(source, text);
  EXPECT_EQ(run_command({KSPLICE_TEST_CC, option, "-g", "-c", source, "-o", object}).status, 0);
  return object;
}

constexpr const char* Function =
    ".globl f\n.type f, @function\nf:\nmov $1, %eax\nret\n.size f, .-f\n";

TEST(ObjectDifference, LinesAndCommentsAreNone) {
  TempDir folder;
  fs::path pre = assemble(folder, "pre", Function);
  fs::path post = assemble(folder, "post", std::string("/* more */\n\n\n") + Function);
  EXPECT_NE(read_file(pre), read_file(post));
  // The source's name is in the debug information only.
  EXPECT_EQ(object_difference(pre, post), "");
}

TEST(ObjectDifference, NamesTheInstruction) {
  TempDir folder;
  std::string other = Function;
  other.replace(other.find("$1"), 2, "$2");
  for (const char* option : {"-m64", "-m32"})
    EXPECT_EQ(object_difference(assemble(folder, "pre", Function, option),
                                assemble(folder, "post", other, option)),
              "at <f>: mov    $0x2,%eax, was mov    $0x1,%eax");
}

TEST(ObjectDifference, SeesDataAndLength) {
  TempDir folder;
  std::string data = std::string(Function) + ".data\n.long 1\n";
  std::string longer = std::string(Function) + "nop\n";
  EXPECT_EQ(object_difference(assemble(folder, "pre", Function), assemble(folder, "post", data)),
            "in its data or symbols");
  EXPECT_EQ(object_difference(assemble(folder, "pre", Function), assemble(folder, "post", longer)),
            "at the end of <f>");
}

TEST(TextDifference, WithoutComments) {
  EXPECT_EQ(text_difference("#define A 1 /* a */\n\n", "#define A 1 /* b */\n"), "");
  EXPECT_EQ(text_difference("#define A 1\n#define B 2\n", "#define A 1\n#define B 3\n"),
            "-#define B 2\n+#define B 3");
}

}  // namespace
}  // namespace ksplice
