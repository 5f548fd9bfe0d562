#include "create/affected.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "create/build_files.h"
#include "create/include_cache.h"
#include "create/includes.h"
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
  EXPECT_EQ(classify_file("tools/testing/selftests/net/a.c").kind, FileKind::Shared);
  EXPECT_EQ(classify_file("tools/testing/selftests/net/a.sh").kind, FileKind::Ignored);
  EXPECT_EQ(classify_file("MAINTAINERS").kind, FileKind::Ignored);
  EXPECT_EQ(classify_file("fs/Kconfig").kind, FileKind::Ignored);
  EXPECT_EQ(classify_file("fs/ext4/Makefile").kind, FileKind::BuildFile);
  EXPECT_EQ(classify_file("arch/x86/entry/entry_64.S").kind, FileKind::Refused);
  EXPECT_EQ(classify_file("arch/x86/entry/vdso/vgetcpu.c").kind, FileKind::Refused);
  EXPECT_EQ(classify_file("arch/x86/entry/vdso/vma.c").kind, FileKind::Code);
  EXPECT_EQ(classify_file("arch/x86/boot/main.c").kind, FileKind::Refused);
  EXPECT_EQ(classify_file("arch/x86/realmode/rm/wakemain.c").kind, FileKind::Refused);
  EXPECT_EQ(classify_file("arch/x86/realmode/init.c").kind, FileKind::Code);
}

TEST(CheckFiles, RefusesByNameAndNamesAll) {
  std::vector<FileChange> changes(2);
  changes[0].path = "arch/x86/entry/entry_64.S";
  changes[1].path = "arch/x86/boot/main.c";
  try {
    check_files(changes, "/none");
    FAIL();
  } catch (const Refused& refused) {
    EXPECT_EQ(refused.refusals.size(), 2u);
    EXPECT_EQ(refused.code, "unsupported_file");
  }
}

TEST(IncludesTest, FollowsHeadersOfHeaders) {
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
  const Includes includes(tree.path(), files);
  EXPECT_EQ(includes.readers("include/linux/a.h"), (std::set<std::string>{"fs/one.c", "fs/two.c"}));
  EXPECT_TRUE(includes.readers("mm/local.h").contains("mm/four.c"));
}

// A file that is written counts again, also within one of the steps in which times advance.
TEST(IncludesTest, KeepsWhatFilesInclude) {
  TempDir tree;
  const fs::path cache = tree.path() / "cache", one = tree.path() / "one.c";
  const std::vector<std::string> files = {"a.h", "b.h", "one.c"};
  auto readers = [&](const char* header) {
    return Includes(tree.path(), files, cache).readers(header);
  };
  write_file(tree.path() / "a.h", "");
  write_file(tree.path() / "b.h", "");
  write_file(one, "#include \"a.h\"\n");
  EXPECT_EQ(readers("a.h"), std::set<std::string>{"one.c"});
  EXPECT_FALSE(fs::exists(cache));
  write_file(one, "#include \"b.h\"\n");
  EXPECT_EQ(readers("b.h"), std::set<std::string>{"one.c"});

  std::this_thread::sleep_for(std::chrono::seconds(3));
  EXPECT_EQ(readers("b.h"), std::set<std::string>{"one.c"});
  ASSERT_TRUE(fs::exists(cache));
  // What the cache says is taken while the file is as it was, and nothing that is damaged.
  IncludeCache liar(cache);
  liar.store({{"one.c", IncludeCache::stamp(one), {"\"a.h"}}});
  EXPECT_EQ(readers("a.h"), std::set<std::string>{"one.c"});
  std::string text = read_text(cache);
  text[text.size() - 3] ^= 1;
  write_file(cache, text);
  EXPECT_EQ(readers("b.h"), std::set<std::string>{"one.c"});
  liar.store({{"one.c", IncludeCache::stamp(one), {"\"a.h"}}});
  write_file(one, "#include \"b.h\"\n");
  EXPECT_EQ(readers("b.h"), std::set<std::string>{"one.c"});
}

// Some ways in which a unit reads a header that no #include of a source names.
TEST(IncludesTest, FollowsWhatTheBuildAddsAndMacrosName) {
  TempDir tree;
  std::vector<std::string> files;
  auto put = [&](const std::string& path, const std::string& text) {
    fs::create_directories((tree.path() / path).parent_path());
    write_file(tree.path() / path, text);
    if (!path.starts_with("obj/")) files.push_back(path);
  };
  put("include/asm-generic/unaligned.h", "");
  put("obj/arch/x86/include/generated/asm/unaligned.h", "#include <asm-generic/unaligned.h>\n");
  put("lib/one.c", "#include <asm/unaligned.h>\n");
  put("include/linux/genl.h", "");
  put("include/linux/genl_api.h", "#define MAGIC_FILE <linux/genl.h>\n#include MAGIC_FILE\n");
  put("lib/two.c", "#include <linux/genl_api.h>\n");
  put("include/linux/next.h", "");
  put("lib/three.c", "#include_next <linux/next.h>\n");
  put("include/linux/forced.h", "#include <linux/deep.h>\n");
  put("include/linux/deep.h", "");
  put("Makefile", "USERINCLUDE := \\\n\t\t-include $(srctree)/include/linux/forced.h \\\n");
  put("lib/own.h", "");
  put("lib/Makefile", "ccflags-y += -include $(src)/own.h\n");
  put("mm/four.c", "int x;\n");
  const std::vector<std::string> made = generated_headers(tree.path());
  EXPECT_EQ(made, std::vector<std::string>{"obj/arch/x86/include/generated/asm/unaligned.h"});
  files.insert(files.end(), made.begin(), made.end());
  std::sort(files.begin(), files.end());
  const Includes includes(tree.path(), files);
  auto readers = [&](const char* changed) { return includes.readers(changed); };
  const std::set<std::string> lib = {"lib/one.c", "lib/two.c", "lib/three.c"};
  std::set<std::string> all = lib;
  all.insert("mm/four.c");
  EXPECT_EQ(readers("include/asm-generic/unaligned.h"), std::set<std::string>{"lib/one.c"});
  EXPECT_EQ(readers("include/linux/genl.h"), std::set<std::string>{"lib/two.c"});
  EXPECT_EQ(readers("include/linux/next.h"), std::set<std::string>{"lib/three.c"});
  EXPECT_EQ(readers("include/linux/deep.h"), all);
  EXPECT_EQ(readers("lib/own.h"), lib);
}

// A tree of few files, with units as kbuild would list them.
class FindAffected : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* path : {"fs/one.c", "fs/asm.S", "fs/both.c"}) put(path);
  }

  void put(const std::string& path, const std::string& text = "") {
    fs::create_directories((tree_.path() / path).parent_path());
    write_file(tree_.path() / path, text);
    if (path.rfind("Makefile") == path.npos) files_.push_back(path);
  }

  Affected find(ChangeKind kind, const std::string& path) {
    const std::set<std::string> files(files_.begin(), files_.end());
    files_.assign(files.begin(), files.end());
    write_file(tree_.path() / "units", units_);
    Kbuild kbuild;
    UnitTable table(kbuild, tree_.path() / "units");
    FileChange change;
    change.kind = kind;
    change.path = path;
    if (kind != ChangeKind::Added) change.old_path = path;
    change.content = tree_.path() / "content";
    write_file(change.content, content_);
    return find_affected({change}, table, tree_.path(), files_);
  }

  static std::string text(const Affected& affected) {
    std::string text;
    for (const AffectedUnit& unit : affected.units)
      text += unit.post + (unit.assembly ? " assembly" : "") + (unit.certain ? " certain\n" : "\n");
    for (const OutsideProgram* program : affected.outside)
      text += program->folder + std::string("\n");
    for (const Refusal& refusal : affected.refusals) text += refusal.message + "\n";
    for (const std::string& note : affected.notes) text += note + "\n";
    return text;
  }

  TempDir tree_;
  std::vector<std::string> files_;
  std::string content_;  // of the file that changes
  std::string units_ = "fs/one.o -\nfs/asm.o fs\nfs/both.o a\nfs/both.o b\nfs/both.o a\n";
};

TEST_F(FindAffected, AssemblyAndTheVdsoReadHeaders) {
  put("include/linux/a.h");
  put("fs/one.c", "#include <linux/a.h>\n");
  put("fs/asm.S", "#include <linux/a.h>\n");
  put("fs/unused.S", "#include <linux/a.h>\n");
  put("arch/x86/entry/vdso/vgetcpu.c", "#include <linux/a.h>\n");
  put("arch/x86/entry/vdso/Makefile");
  put("arch/x86/kernel/vmlinux.lds.S", "#include <linux/a.h>\n");
  put("arch/x86/kernel/Makefile");
  EXPECT_EQ(text(find(ChangeKind::Modified, "include/linux/a.h")),
            "fs/asm.o assembly\nfs/one.o\narch/x86/entry/vdso\narch/x86/kernel\n");
}

// The makefiles are read by make itself, as in drivers/gpu/drm/i915 and amd/display.
TEST(UnitTableTest, ReadsMakefilesThatIncludeOthers) {
  TempDir tree;
  auto put = [&](const std::string& path, const std::string& text) {
    fs::create_directories((tree.path() / path).parent_path());
    write_file(tree.path() / path, text);
  };
  put("scripts/Makefile.build", "");
  put("drivers/a/Makefile", "include $(src)/sub/Makefile\nobj-y += $(parts)\n");
  put("drivers/a/sub/Makefile", "parts := sub/one.o\n");
  put("drivers/b/Makefile", "obj-y += inner/two.o\n");
  put("drivers/b/inner/Makefile", "include $(OF_THE_FOLDER_ABOVE)/more.mk\n");
  put("lib/Makefile", "");
  fs::create_directories(tree.path() / "obj");
  Kbuild kbuild;
  kbuild.tree = tree.path();
  kbuild.obj = tree.path() / "obj";
  const fs::path kept = tree.path() / "units";
  UnitTable table(kbuild, kept);
  EXPECT_TRUE(table.find("drivers/a/sub/one.c").has_value());
  EXPECT_TRUE(table.find("drivers/b/inner/two.c").has_value());
  // One that the walk cannot read is not one without units, and nothing is kept.
  put("lib/Makefile", "include nothing.mk\n");
  EXPECT_THROW(UnitTable(kbuild, kept).all(), Error);
  EXPECT_FALSE(fs::exists(kept));
  put("lib/Makefile", "obj-y += three.o\n");
  EXPECT_TRUE(UnitTable(kbuild, kept).all().contains("lib/three.c"));
}

TEST_F(FindAffected, AUnitMayBelongToSeveralModules) {
  put("fs/both.c");
  const Affected affected = find(ChangeKind::Modified, "fs/both.c");
  ASSERT_EQ(affected.units.size(), 1u);
  EXPECT_EQ(affected.units[0].target, "a:b");
  EXPECT_EQ(split_modules("a:b"), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(split_modules("").empty());
}

TEST_F(FindAffected, OtherProgramsHaveCopiesOfUnits) {
  put("fs/one.c");
  put("arch/x86/boot/x.c", "#include \"../../../fs/one.c\"\n");
  put("arch/x86/boot/Makefile");
  put("arch/x86/purgatory/Makefile", "$(obj)/one.o: $(srctree)/fs/one.c FORCE\n");
  put("drivers/firmware/efi/libstub/Makefile", "lib-y := lib-one.o\n");
  EXPECT_EQ(text(find(ChangeKind::Modified, "fs/one.c")),
            "fs/one.o certain\narch/x86/boot\narch/x86/purgatory\n");
}

TEST_F(FindAffected, MadeHeadersAndUnitsCount) {
  put("include/linux/a.h");
  put("kernel/bounds.c", "#include <linux/a.h>\n");
  EXPECT_TRUE(find(ChangeKind::Modified, "include/linux/a.h").makes_headers);
  put("fs/fs-offsets.c", "#include <linux/a.h>\n");
  put("fs/Makefile", "$(obj)/fs-offsets.h: $(obj)/fs-offsets.s FORCE\n");
  put("fs/asm.S", "#include \"fs-offsets.h\"\n");
  EXPECT_EQ(text(find(ChangeKind::Modified, "include/linux/a.h")), "fs/asm.o assembly certain\n");
  units_ += "arch/x86/kernel/cpu/capflags.o -\n";
  put("arch/x86/include/asm/cpufeatures.h");
  put("arch/x86/kernel/cpu/Makefile", "cpufeature = $(src)/../../include/asm/cpufeatures.h\n");
  EXPECT_EQ(text(find(ChangeKind::Modified, "arch/x86/include/asm/cpufeatures.h")),
            "arch/x86/kernel/cpu/capflags.o certain\n"
            "no source that this configuration builds reads arch/x86/include/asm/cpufeatures.h\n");
}

// As drivers/gpu/drm/xe does with files of i915.
TEST_F(FindAffected, TwoUnitsMayBeMadeOfOneSource) {
  units_ += "lib/copy/one.o lib\n";
  put("include/linux/a.h");
  put("fs/one.c", "#include <linux/a.h>\n");
  put("lib/Makefile", "$(obj)/copy/%.o: $(srctree)/fs/%.c FORCE\n");
  files_.push_back("lib/Makefile");
  EXPECT_EQ(text(find(ChangeKind::Modified, "fs/one.c")),
            "lib/copy/one.o certain\nfs/one.o certain\n");
  EXPECT_EQ(text(find(ChangeKind::Modified, "include/linux/a.h")), "lib/copy/one.o\nfs/one.o\n");
  EXPECT_EQ(text(find(ChangeKind::Modified, "fs/both.c")), "fs/both.o certain\n");
  const Affected affected = find(ChangeKind::Modified, "fs/one.c");
  EXPECT_TRUE(affected.units[0].by_rule);
  EXPECT_EQ(affected.units[0].target, "lib");
}

TEST_F(FindAffected, AUnitMayBeAPartOfOtherOnes) {
  put("fs/both.c", "#include \"one.c\"\n");
  EXPECT_EQ(text(find(ChangeKind::Modified, "fs/one.c")), "fs/one.o certain\nfs/both.o\n");
  EXPECT_EQ(text(find(ChangeKind::Deleted, "fs/one.c")), "fs/both.o\n");
  EXPECT_TRUE(find(ChangeKind::Deleted, "fs/one.c").may_take_units);
  EXPECT_FALSE(find(ChangeKind::Modified, "fs/one.c").may_take_units);
}

// asn1.c is made of asn1.asn1 by a program: what it reads is known only then.
TEST_F(FindAffected, AMadeSourceMayReadAnyHeader) {
  units_ += "lib/x509.asn1.o -\n";
  put("include/linux/asn1.h");
  EXPECT_EQ(text(find(ChangeKind::Modified, "include/linux/asn1.h")),
            "lib/x509.asn1.o\n"
            "no source that this configuration builds reads include/linux/asn1.h\n");
  EXPECT_EQ(text(find(ChangeKind::Added, "lib/new.h")), "lib/x509.asn1.o\n");
  EXPECT_EQ(text(find(ChangeKind::Added, "lib/asn1.h")), "lib/x509.asn1.o certain\n");
  EXPECT_EQ(text(find(ChangeKind::Modified, "fs/one.c")), "fs/one.o certain\n");
}

// As kernel/bpf does: 6.1 by a rule in its makefile, 6.12 by sources of one line.
TEST_F(FindAffected, TheKernelReadsFilesOfOtherPrograms) {
  units_ += "lib/by_rule.o -\n";
  put("tools/lib/by_rule.c", "#include \"beside.h\"\n");
  put("tools/lib/by_line.c", "#include \"beside.h\"\n#include <linux/a.h>\n");
  put("tools/lib/beside.h");
  put("tools/lib/not.c", "#include \"beside.h\"\n#include <linux/a.h>\n");
  put("tools/include/linux/a.h");
  put("include/linux/a.h");
  put("lib/Makefile", "$(obj)/by_rule.o: $(srctree)/tools/lib/by_rule.c FORCE\n");
  files_.push_back("lib/Makefile");
  put("fs/one.c", "#include \"../tools/lib/by_line.c\"\n");
  auto units = [&](const char* path) { return text(find(ChangeKind::Modified, path)); };
  EXPECT_EQ(units("tools/lib/beside.h"), "fs/one.o\nlib/by_rule.o\n");
  EXPECT_EQ(units("tools/lib/by_line.c"), "fs/one.o\n");
  EXPECT_EQ(units("include/linux/a.h"), "fs/one.o\n");
  EXPECT_EQ(units("tools/lib/by_rule.c"), "lib/by_rule.o certain\n");
  const std::string ignored = " is ignored: not part of the running kernel's code\n";
  EXPECT_EQ(units("tools/lib/not.c"), "tools/lib/not.c" + ignored);
  EXPECT_EQ(units("tools/include/linux/a.h"), "tools/include/linux/a.h" + ignored);
}

TEST_F(FindAffected, RefusesProgramsThatMakeCode) {
  put("lib/gen_table.c");
  put("lib/Makefile", "hostprogs := gen_table other\n");
  EXPECT_EQ(text(find(ChangeKind::Modified, "lib/gen_table.c")),
            "lib/gen_table.c is of a program that makes code of the kernel\n");
}

TEST_F(FindAffected, ANewHeaderMayBeFoundInThePlaceOfAnother) {
  put("include/a.h");
  put("fs/one.c", "#include \"a.h\"\n");
  EXPECT_EQ(text(find(ChangeKind::Added, "fs/a.h")), "fs/one.o certain\n");
  EXPECT_EQ(text(find(ChangeKind::Added, "mm/b.h")), "");
}

TEST(CheckFiles, RefusesWhatCodeIsMadeFrom) {
  TempDir tree;
  fs::create_directories(tree.path() / "arch/x86/lib");
  write_file(tree.path() / "arch/x86/lib/Makefile", "maps = $(srctree)/arch/x86/lib/map.txt\n");
  FileChange change;
  change.path = "arch/x86/lib/map.txt";
  EXPECT_THROW(check_files({change}, tree.path()), Refused);
  change.path = "arch/x86/lib/notes.txt";
  try {
    check_files({change}, tree.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "no_change");
  }
}

// As arch/x86/crypto does with poly1305-x86_64-cryptogams.pl.
TEST(CheckFiles, RefusesScriptsThatRulesMakeCodeWith) {
  TempDir tree;
  fs::create_directories(tree.path() / "crypto/deep");
  FileChange change;
  auto code = [&](const char* path, const std::string& makefile) {
    write_file(tree.path() / "crypto/Makefile", makefile);
    change.path = path;
    try {
      check_files({change}, tree.path());
      return std::string("none");
    } catch (const Error& error) {
      return error.code;
    }
  };
  EXPECT_EQ(code("crypto/sum.pl", "$(obj)/%.S: $(src)/%.pl FORCE\n"), "unsupported_file");
  EXPECT_EQ(code("crypto/deep/sum.pl", "obj-y += sum.o\n"), "unsupported_file");
  EXPECT_EQ(code("crypto/sum.sh", "obj-y += sum.o\n"), "unsupported_file");
  EXPECT_EQ(code("crypto/sum.py", "obj-y += sums.o\n$(obj)/%.S: $(src)/%.pl FORCE\n"), "no_change");
}

TEST(CompareBuildFiles, TellsListsFromTheRest) {
  const std::string before =
      "# Files\nobj-$(CONFIG_A) += a.o \\\n\tb.o\nifdef CONFIG_B\nobj-y += c.o\nendif\n";
  auto text = [&](const std::string& after) {
    const BuildFileDiff diff = compare_build_files(before, after);
    std::string text = diff.other ? "other" : "";
    for (const std::string& object : diff.added) text += " +" + object;
    for (const std::string& object : diff.removed) text += " -" + object;
    return text;
  };
  EXPECT_EQ(text("obj-$(CONFIG_A) += b.o a.o # of A\nifdef CONFIG_B\nobj-y += c.o\nendif\n"), "");
  EXPECT_EQ(text(before + "obj-m += d.o e/\n"), " +d.o +e/");
  EXPECT_EQ(text("obj-$(CONFIG_A) += b.o\nifdef CONFIG_B\nobj-y += c.o\nendif\n"), " -a.o");
  EXPECT_EQ(text("obj-$(CONFIG_A) += a.o b.o\nifdef CONFIG_C\nobj-y += c.o\nendif\n"),
            " +c.o -c.o");
  EXPECT_EQ(text(before + "ccflags-y += -DX\n"), "other");
  EXPECT_EQ(text(before + "CFLAGS_a.o := -DX\n"), "other");
  EXPECT_EQ(text(before + "$(obj)/a.o: $(obj)/a.h\n"), "other");
  EXPECT_EQ(text("obj-$(CONFIG_A) := a.o b.o\nifdef CONFIG_B\nobj-y += c.o\nendif\n"), "other");
}

TEST_F(FindAffected, AMakefileMayChangeItsUnits) {
  const std::string lists = "obj-y += one.o\n";
  put("fs/Makefile", lists);
  put("lib/new.c");
  auto change = [&](const std::string& after) {
    content_ = after;
    return text(find(ChangeKind::Modified, "fs/Makefile"));
  };
  units_ += "fs/sub/x.o -\nfs/plain/y.o -\n";
  put("fs/sub/x.c");
  put("fs/sub/Makefile");
  put("fs/plain/y.c");
  const std::string own =
      "fs/asm.o assembly certain\nfs/both.o certain\nfs/one.o certain\nfs/plain/y.o certain\n";
  EXPECT_EQ(change("ccflags-y += -DX\n" + lists), own);
  EXPECT_EQ(change("subdir-ccflags-y += -DX\n" + lists), own + "fs/sub/x.o certain\n");
  EXPECT_EQ(change("# a\nobj-y += one.o\n"),
            "fs/Makefile is ignored: no unit is compiled in another way\n");
  EXPECT_EQ(change("obj-y += one.o new.o newer/\n"), "");
  EXPECT_EQ(change("obj-y += one.o both.o\n"),
            "fs/Makefile builds both.o in another way, and its source is not new\n");
  EXPECT_EQ(change("obj-y += one.o ../lib/\n"),
            "fs/Makefile builds ../lib/ in another way, and its source is not new\n");
  EXPECT_EQ(change(""), "");
  EXPECT_TRUE(find(ChangeKind::Modified, "fs/Makefile").may_take_units);
  EXPECT_EQ(change("obj-y += one.o new.o\n"), "");
  EXPECT_FALSE(find(ChangeKind::Modified, "fs/Makefile").may_take_units);
  put("Makefile", "SUBLEVEL = 1\n");
  content_ = "SUBLEVEL = 2\n";
  EXPECT_EQ(text(find(ChangeKind::Modified, "Makefile")),
            "Makefile is ignored: no unit is compiled in another way\n");
  content_ = "SUBLEVEL = 2\nKBUILD_CFLAGS += -DX\n";
  EXPECT_EQ(text(find(ChangeKind::Modified, "Makefile")),
            "Makefile changes by more than lists of objects how much of the kernel is built\n");
}

TEST_F(FindAffected, RefusesRustWhereTheKernelHasSome) {
  put("drivers/a.rs");
  EXPECT_EQ(text(find(ChangeKind::Modified, "drivers/a.rs")), "");
  put("obj/.config", "CONFIG_A=y\nCONFIG_RUST=y\n");
  EXPECT_EQ(text(find(ChangeKind::Modified, "drivers/a.rs")),
            "drivers/a.rs is Rust code, of which this kernel has some\n");
}

TEST(ParseCmdFile, ReadsTargetAndDependencies) {
  BuiltUnit unit = parse_cmd_file(
      "savedcmd_fs/a.o := gcc -I../include -DMODULE  -DKBUILD_MODNAME='\"ext4\"' -c -o fs/a.o "
      "../fs/a.c\n"
      "\nsource_fs/a.o := ../fs/a.c\n\ndeps_fs/a.o := \\\n    $(wildcard include/config/X) \\\n"
      "  ../include/linux/b.h \\\n  include/generated/c.h \\\n  ./../fs/d.h \\\n"
      "\nfs/a.o: $(deps_fs/a.o)\n\n$(deps_fs/a.o):\n\n#SYMVER a_read 0x0eb9a698\n",
      "fs/a.o");
  EXPECT_EQ(unit.target, "ext4");
  EXPECT_EQ(unit.sources, (std::vector<std::string>{"fs/a.c", "fs/d.h", "include/linux/b.h"}));
  EXPECT_EQ(unit.generated, std::vector<std::string>{"include/generated/c.h"});
  EXPECT_TRUE(unit.outside.empty());
  EXPECT_EQ(unit.checksums, (ExportChecksums{{"a_read", 0x0eb9a698}}));
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
