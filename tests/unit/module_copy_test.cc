// What a copy of a module's source has: what its texts lead to, and no circles.
#include "create/module_copy.h"

#include <gtest/gtest.h>

#include <set>

#include "create/pairs.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

class ModuleCopyTest : public testing::Test {
 protected:
  void put(const std::string& path, const std::string& text = "") const {
    fs::create_directories((source_ / path).parent_path());
    write_file(source_ / path, text);
  }
  // The files of the copy, relative to the copy of the module's folder.
  std::set<std::string> files(const std::string& module) const {
    const fs::path to = dir_.path() / "copy";
    fs::remove_all(to);
    const ModuleCopy copy = copy_module(source_ / module, to);
    EXPECT_EQ(copy.source, source_ / module);
    EXPECT_EQ(copy.folder.lexically_relative(copy.root),
              copy.source.lexically_relative(copy.original));
    std::set<std::string> result;
    for (const auto& entry : fs::recursive_directory_iterator(to))
      if (entry.is_regular_file())
        result.insert(entry.path().lexically_relative(copy.folder).string());
    return result;
  }
  using Files = std::set<std::string>;
  TempDir dir_;
  const fs::path source_ = fs::canonical(dir_.path()) / "source";
};

TEST_F(ModuleCopyTest, TakesWhatLiesBesideTheFolder) {
  put("a/module/Makefile", "m-y := main.o ../shared/words.o\nccflags-y := -I$(src)/../../inc\n");
  put("a/module/main.c", "#include \"../above.h\"\n");
  put("a/module/main.o");
  put("a/above.h");
  put("a/big.iso");
  put("a/other/unused.c");
  put("a/shared/words.c", "#include \"../deep/deep.h\"\n");
  put("a/shared/readme.txt");
  put("a/deep/deep.h");
  put("inc/names.h");
  EXPECT_EQ(files("a/module"), (Files{"Makefile", "main.c", "../above.h", "../shared/words.c",
                                      "../deep/deep.h", "../../inc/names.h"}));
}

TEST_F(ModuleCopyTest, TakesNoKernelAndNothingThatIsNotMeant) {
  put("a/module/Makefile", "KDIR ?= ../linux\nccflags-y := -I../linux/drivers/net\n");
  put("a/module/sub/main.c", "#include \"../../include/own.h\"\n");
  put("a/include/own.h");
  put("include/unrelated.h");
  put("a/linux/include/linux/kernel.h");
  put("a/linux/drivers/net/driver.c");
  EXPECT_EQ(files("a/module"), (Files{"Makefile", "sub/main.c", "../include/own.h"}));
}

TEST_F(ModuleCopyTest, FollowsNoLinkInACircle) {
  put("module/Kbuild");
  put("module/sub/util.c");
  put("lib/real.c");
  fs::create_directory_symlink("..", source_ / "module/sub/up");
  fs::create_directory_symlink("../..", source_ / "module/sub/top");
  fs::create_symlink("self", source_ / "module/self");
  fs::create_symlink("nowhere", source_ / "module/broken");
  fs::create_directory_symlink("../lib", source_ / "module/lib");
  EXPECT_EQ(files("module"), (Files{"Kbuild", "sub/util.c", "lib/real.c"}));
}

TEST(FlatName, DiffersForEachPath) {
  EXPECT_NE(flat_name("sub/util.o"), flat_name("sub_util.o"));
  EXPECT_EQ(flat_name("./sub/util.o"), flat_name("sub/util.o"));
  EXPECT_EQ(flat_name("../shared/words.o").find('/'), std::string::npos);
}

TEST(SplitByTarget, MakesAPairForEachModule) {
  std::vector<ObjectPair> pairs(2);
  pairs[0].unit = pairs[1].unit = "x.o";
  pairs[0].target = "a:b";
  pairs[1].target = "c";
  split_by_target(pairs);
  ASSERT_EQ(pairs.size(), 3u);
  EXPECT_EQ(pairs[0].target, "a");
  EXPECT_EQ(pairs[1].target, "b");
  EXPECT_EQ(pairs[2].target, "c");
}

}  // namespace
}  // namespace ksplice
