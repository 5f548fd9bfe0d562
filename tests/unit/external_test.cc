// How kbuild names what it makes of external modules, by release of the kernel.
#include "create/external.h"

#include <gtest/gtest.h>

#include "create/module_parts.h"
#include "create/update_module.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

void put_unit(const fs::path& object, const std::string& name, const std::string& source) {
  fs::create_directories(object.parent_path());
  write_file(object, "");
  write_file(object.parent_path() / ("." + object.filename().string() + ".cmd"),
             "savedcmd_" + name + " := gcc -DMODULE -DKBUILD_MODNAME='\"fruit\"' -c\n\nsource_" +
                 name + " := " + source + "\n\ndeps_" + name + " := \\\n\n");
}

TEST(FindExternalUnits, OfAbsoluteAndOfRelativeNames) {
  TempDir folder;
  const fs::path top = folder.path() / "module";
  fs::create_directories(top);
  put_unit(top / "sub/apple.o", (top / "sub/apple.o").string(), (top / "sub/apple.c").string());
  put_unit(top / "sub/pear.o", "sub/pear.o", "sub/pear.c");
  put_unit(top / "fruit.mod.o", "fruit.mod.o", "fruit.mod.c");
  put_unit(top / ".module-common.o", ".module-common.o", "/tree/scripts/module-common.c");
  write_file(top / "fruit.o", "");
  write_file(top / ".fruit.o.cmd", "savedcmd_fruit.o := ld -r -o fruit.o @fruit.mod\n");
  put_unit(folder.path() / "shared/plum.o", (top / "../shared/plum.o").string(), "plum.c");
  auto units = find_external_units(top, folder.path());
  ASSERT_EQ(units.size(), 3u);
  EXPECT_EQ(units.at("../shared/plum.o").target, "fruit");
  EXPECT_EQ(units.at("sub/apple.o").name, (top / "sub/apple.o").string());
  EXPECT_EQ(units.at("sub/pear.o").name, "sub/pear.o");
  EXPECT_EQ(units.at("sub/pear.o").object, top / "sub/pear.o");
  EXPECT_EQ(units.at("sub/pear.o").target, "fruit");
}

TEST(ListModuleParts, OfAbsoluteAndOfRelativeNames) {
  TempDir folder;
  const fs::path top = folder.path() / "module";
  fs::create_directories(top / "sub");
  const std::string absolute = top.string();
  write_file(top / "fruit-bowl.mod",
             absolute + "/sub/apple.o\n" + absolute + "/../shared/plum.o\n\n");
  write_file(top / "sub/tree.mod", "./sub/apple.o\n./sub/fast.o\n");
  const std::map<std::string, std::string> parts = list_module_parts(top, folder.path());
  const std::map<std::string, std::string> all = {{"../shared/plum.o", "fruit_bowl"},
                                                  {"sub/apple.o", "fruit_bowl:tree"},
                                                  {"sub/fast.o", "tree"}};
  EXPECT_EQ(parts, all);
  const std::map<std::string, std::string> beside = {{"../shared/plum.o", "fruit_bowl"},
                                                     {"sub/fast.o", "tree"}};
  EXPECT_EQ(parts_beside(parts, {{"sub/apple.o", {}}}), beside);
}

TEST(CompareOtherParts, RefusesWhatDiffersIsNewOrGone) {
  TempDir folder;
  const fs::path was = folder.path() / "was.bin", now = folder.path() / "now.bin";
  write_file(was, "1");
  write_file(now, "2");
  EXPECT_TRUE(compare_other_parts({{"a.o", {"pair", was}}}, {{"a.o", {"pair", was}}}).empty());
  const auto refusals = compare_other_parts(
      {{"same.bin", {"pair", was}}, {"gone.o", {"pair", was}}, {"moves.o", {"pair", was}}},
      {{"same.bin", {"pair", now}}, {"new.o", {"pair", now}}, {"moves.o", {"other", was}}});
  ASSERT_EQ(refusals.size(), 4u);
  EXPECT_EQ(refusals[0].message.find("gone.o is gone with the patch"), 0u);
  EXPECT_EQ(refusals[1].object, "moves.o");
  EXPECT_EQ(refusals[2].found, "in its bytes");
  EXPECT_EQ(refusals[3].object, "new.o");
}

TEST(CoreExports, OfAbsoluteAndOfRelativeNames) {
  const std::string absolute =
      "0x12345678\tksplice_a\t/cache/5-modules/ksplice\tEXPORT_SYMBOL_GPL\t\n";
  const std::string relative = "0x00000000\tksplice_b\tksplice\tEXPORT_SYMBOL_GPL\t\n";
  const std::string other = "0x00000000\tksplice\tksplice_fix\tEXPORT_SYMBOL_GPL\t\n";
  EXPECT_EQ(core_exports(absolute + other), absolute);
  EXPECT_EQ(core_exports(other + relative), relative);
}

}  // namespace
}  // namespace ksplice
