#include "create/affected.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "create/kbuild.h"
#include "create/options.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

TEST(ClassifyFile, ByPath) {
  EXPECT_EQ(classify_file("net/ipv4/tcp.c").kind, FileKind::Code);
  EXPECT_EQ(classify_file("include/linux/sched.h").kind, FileKind::Code);
  EXPECT_EQ(classify_file("arch/x86/kvm/x86.c").kind, FileKind::Code);
  EXPECT_EQ(classify_file("arch/arm/mm/fault.c").kind, FileKind::Ignored);
  EXPECT_EQ(classify_file("Documentation/x.rst").kind, FileKind::Ignored);
  EXPECT_EQ(classify_file("tools/testing/selftests/net/a.c").kind, FileKind::Ignored);
  EXPECT_EQ(classify_file("MAINTAINERS").kind, FileKind::Ignored);
  EXPECT_EQ(classify_file("fs/Kconfig").kind, FileKind::Ignored);
  EXPECT_EQ(classify_file("fs/ext4/Makefile").kind, FileKind::BuildFile);
  EXPECT_EQ(classify_file("arch/x86/entry/entry_64.S").kind, FileKind::Refused);
  EXPECT_EQ(classify_file("arch/x86/entry/vdso/vma.c").kind, FileKind::Refused);
  EXPECT_EQ(classify_file("arch/x86/boot/main.c").kind, FileKind::Refused);
  EXPECT_EQ(classify_file("arch/x86/realmode/init.c").kind, FileKind::Refused);
}

TEST(CheckFiles, RefusesByNameAndNamesAll) {
  std::vector<FileChange> changes(2);
  changes[0].path = "arch/x86/entry/entry_64.S";
  changes[1].path = "arch/x86/boot/main.c";
  try {
    check_files(changes);
    FAIL();
  } catch (const Refused& refused) {
    EXPECT_EQ(refused.refusals.size(), 2u);
    EXPECT_EQ(refused.code, "unsupported_file");
  }
}

TEST(FindIncluders, FollowsHeadersOfHeaders) {
  TempDir tree;
  auto put = [&](const std::string& path, const std::string& text) {
    fs::create_directories((tree.path() / path).parent_path());
    write_file(tree.path() / path, text);
  };
  put("include/linux/a.h", "");
  put("include/linux/b.h", "#include <linux/a.h>\n");
  put("fs/one.c", "# include  <linux/b.h>\n");
  put("fs/two.c", "#include \"local.h\"\n");
  put("fs/local.h", "#include \"../include/linux/b.h\"\n");
  put("fs/three.c", "#include <linux/c.h>\n");
  put("mm/local.h", "");
  put("mm/four.c", "#include \"local.h\"\n");
  std::vector<std::string> files = {"include/linux/a.h", "include/linux/b.h", "fs/one.c",
                                    "fs/two.c",          "fs/local.h",        "fs/three.c",
                                    "mm/local.h",        "mm/four.c"};
  std::sort(files.begin(), files.end());
  EXPECT_EQ(find_includers(tree.path(), files, {"include/linux/a.h"}),
            (std::set<std::string>{"fs/one.c", "fs/two.c"}));
  EXPECT_TRUE(find_includers(tree.path(), files, {"mm/local.h"}).contains("mm/four.c"));
}

TEST(ParseCmdFile, ReadsTargetAndDependencies) {
  BuiltUnit unit = parse_cmd_file(
      "savedcmd_fs/a.o := gcc -I../include -DMODULE  -DKBUILD_MODNAME='\"ext4\"' -c -o fs/a.o "
      "../fs/a.c\n"
      "\nsource_fs/a.o := ../fs/a.c\n\ndeps_fs/a.o := \\\n    $(wildcard include/config/X) \\\n"
      "  ../include/linux/b.h \\\n  include/generated/c.h \\\n  ./../fs/d.h \\\n"
      "\nfs/a.o: $(deps_fs/a.o)\n\n$(deps_fs/a.o):\n",
      "fs/a.o");
  EXPECT_EQ(unit.target, "ext4");
  EXPECT_EQ(unit.sources, (std::vector<std::string>{"fs/a.c", "fs/d.h", "include/linux/b.h"}));
  EXPECT_EQ(unit.generated, std::vector<std::string>{"include/generated/c.h"});
  EXPECT_TRUE(unit.outside.empty());
}

TEST(ParseCmdFile, WithoutModuleItIsVmlinux) {
  EXPECT_EQ(
      parse_cmd_file("cmd_fs/a.o := gcc -DKBUILD_MODNAME='\"a\"' -c ../fs/a.c\n", "fs/a.o").target,
      "vmlinux");
}

TEST(MatchesPattern, PercentIsAnything) {
  EXPECT_TRUE(matches_pattern("vmlinux", "vmlinux"));
  EXPECT_TRUE(matches_pattern("nf_tables", "nf_%"));
  EXPECT_TRUE(matches_pattern("nf_tables", "%tab%s"));
  EXPECT_FALSE(matches_pattern("nf_tables", "nf"));
  EXPECT_FALSE(matches_pattern("vmlinux", "%.ko"));
}

}  // namespace
}  // namespace ksplice
