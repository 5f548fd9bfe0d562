// How a command is run in a root directory, and which release a kernel needs.
#include "create/root.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

// Position of the words in a row in argv, or -1.
long find_words(const std::vector<std::string>& argv, const std::vector<std::string>& words) {
  auto at = std::search(argv.begin(), argv.end(), words.begin(), words.end());
  return at == argv.end() ? -1 : at - argv.begin();
}

TEST(InRoot, TheMachineItselfNeedsNoWords) {
  EXPECT_EQ(in_root({}, {{"/x"}, {}}, {"make", "all"}), (std::vector<std::string>{"make", "all"}));
}

TEST(InRoot, ShowsTheTreeAndWhatIsNamed) {
  TempDir tree;
  const fs::path root = tree.path();
  for (const char* folder : {"usr/bin", "usr/src/mine", "etc", "proc", "tmp", "home"})
    fs::create_directories(root / folder);
  fs::create_directory_symlink("usr/bin", root / "bin");
  std::vector<std::string> argv =
      in_root(root, {{"/home/me/slot"}, {"/usr/src/linux", "/usr/src/linux/own"}}, {"make", "x"});
  EXPECT_EQ(argv.front(), "bwrap");
  EXPECT_NE(find_words(argv, {"--", "make", "x"}), -1);
  EXPECT_NE(find_words(argv, {"--symlink", "usr/bin", "/bin"}), -1);
  EXPECT_NE(find_words(argv, {"--ro-bind", root / "etc", "/etc"}), -1);
  // The tree is not written to: where the machine's paths go, its folders are put together anew.
  EXPECT_EQ(find_words(argv, {"--ro-bind", root / "usr", "/usr"}), -1);
  EXPECT_NE(find_words(argv, {"--ro-bind", root / "usr/bin", "/usr/bin"}), -1);
  EXPECT_NE(find_words(argv, {"--ro-bind", root / "usr/src/mine", "/usr/src/mine"}), -1);
  EXPECT_EQ(find_words(argv, {"--ro-bind", root / "proc", "/proc"}), -1);
  EXPECT_NE(find_words(argv, {"--proc", "/proc"}), -1);
  long outer = find_words(argv, {"--ro-bind", "/usr/src/linux", "/usr/src/linux"});
  long inner = find_words(argv, {"--ro-bind", "/usr/src/linux/own", "/usr/src/linux/own"});
  EXPECT_NE(outer, -1);
  EXPECT_LT(outer, inner);
  EXPECT_LT(inner, find_words(argv, {"--bind", "/home/me/slot", "/home/me/slot"}));
}

TEST(DebianOfCompiler, IsKnownForTheTestedReleases) {
  auto of = [](const std::string& text) {
    return debian_of_compiler("CONFIG_CC_VERSION_TEXT=\"" + text + "\"\n");
  };
  EXPECT_EQ(of("gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"), "12");
  EXPECT_EQ(of("x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0"), "13");
  EXPECT_EQ(of("gcc-14 (Ubuntu 14.2.0-4ubuntu2) 14.2.0"), "");
  EXPECT_EQ(of("gcc-9 (Debian 9.3.0-22) 9.3.0"), "");
  EXPECT_EQ(debian_of_compiler(""), "");
}

TEST(NameRoot, ReplacesALinkAndNothingElse) {
  TempDir folder;
  name_root(folder.path(), "/one");
  name_root(folder.path(), "/two");
  EXPECT_EQ(fs::read_symlink(folder.path() / "root"), "/two");
  fs::remove(folder.path() / "root");
  fs::create_directory(folder.path() / "root");
  EXPECT_THROW(name_root(folder.path(), "/three"), Error);
}

}  // namespace
}  // namespace ksplice
