#include "create/module_steps.h"

#include <gtest/gtest.h>

#include "objdiff/base/file.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

// Make's own file for a target: what was run, with $ and # as makefiles need them.
void record(const fs::path& folder, const std::string& file, const std::string& target,
            const std::string& command) {
  write_file(folder / ("." + file + ".cmd"), "savedcmd_" + target + " := " + command + "\n");
}

class ModuleStepsTest : public testing::Test {
 protected:
  ModuleStepsTest() {
    kbuild_.tree = temporary_.path() / "tree";
    kbuild_.obj = kbuild_.tree / "obj";
    folder_ = temporary_.path() / "modules";
    fs::create_directories(folder_);
    fs::create_directories(kbuild_.obj / "scripts/basic");
    // Of fixdep only that it makes its output.
    write_file(kbuild_.obj / "scripts/basic/fixdep", std::string("#!/bin/sh\necho \"$2\"\n"));
    fs::permissions(kbuild_.obj / "scripts/basic/fixdep", fs::perms::owner_all);
    const std::string at = folder_.string() + "/";
    record(folder_, "one-init.o", at + "one-init.o",
           "cp " + at + "one-init.c " + at + "one-init.o");
    record(folder_, "one.mod", at + "one.mod", "echo 'one$$1' '$(pound)' > " + at + "one.mod");
    record(folder_, "one.o", at + "one.o",
           "cat " + at + "one-init.o " + at + "one.mod > " + at + "one.o");
    record(folder_, "Module.symvers", at + "Module.symvers",
           "cp " + at + "modules.order " + at + "Module.symvers");
    record(folder_, "one.mod.o", at + "one.mod.o",
           "echo tree " + kbuild_.tree.string() + " > " + at + "one.mod.o");
    record(folder_, "one.ko", at + "one.ko",
           "cat " + at + "one.o " + at + "one.mod.o > " + at + "one.ko");
    write_file(folder_ / "modules.order", at + "one.ko\n");
  }

  TempDir temporary_;
  Kbuild kbuild_;
  fs::path folder_;
};

TEST_F(ModuleStepsTest, MakeOtherModulesInAnotherFolder) {
  const auto steps = record_module_steps(kbuild_, folder_, "one");
  ASSERT_TRUE(steps);
  kbuild_.tree = temporary_.path() / "moved";
  fs::rename(temporary_.path() / "tree", kbuild_.tree);
  kbuild_.obj = kbuild_.tree / "obj";
  const fs::path other = temporary_.path() / "other";
  fs::create_directories(other);
  write_file(other / "two-init.c", std::string("2\n"));
  write_file(other / "three-init.c", std::string("3\n"));
  EXPECT_EQ(run_module_steps(kbuild_, *steps, other, {"two", "three"}), "");
  EXPECT_EQ(read_text(other / "two.ko"), "2\ntwo$1 #\ntree " + kbuild_.tree.string() + "\n");
  EXPECT_EQ(read_text(other / "three.ko"), "3\nthree$1 #\ntree " + kbuild_.tree.string() + "\n");
  EXPECT_EQ(read_text(other / "Module.symvers"),
            (other / "two.ko").string() + "\n" + (other / "three.ko").string() + "\n");
}

TEST_F(ModuleStepsTest, AFailedCommandLeavesAllToKbuild) {
  const auto steps = record_module_steps(kbuild_, folder_, "one");
  ASSERT_TRUE(steps);
  EXPECT_FALSE(run_module_steps(kbuild_, *steps, folder_, {"absent"}));
  // A name that a makefile would write in another way.
  write_file(folder_ / "a-b-init.c", std::string("1\n"));
  EXPECT_FALSE(run_module_steps(kbuild_, *steps, folder_, {"a-b"}));
}

TEST_F(ModuleStepsTest, WhatIsNotUnderstoodIsNotRecorded) {
  const std::string at = folder_.string() + "/";
  record(folder_, "one.ko", at + "one.ko", "ld $(shell something)");
  EXPECT_FALSE(record_module_steps(kbuild_, folder_, "one"));
  record(folder_, "one.ko", "elsewhere/one.ko", "ld");
  EXPECT_FALSE(record_module_steps(kbuild_, folder_, "one"));
  record(folder_, "one.ko", "one.ko", "ld");  // run in another place than the others
  EXPECT_FALSE(record_module_steps(kbuild_, folder_, "one"));
  record(folder_, "one.ko", at + "one.ko", "ld");
  EXPECT_TRUE(record_module_steps(kbuild_, folder_, "one"));
  record(folder_, "Module.symvers", at + "Module.symvers", "modpost one.o");
  EXPECT_FALSE(record_module_steps(kbuild_, folder_, "one"));
}

TEST_F(ModuleStepsTest, TextIsWholeOrNothing) {
  const auto steps = record_module_steps(kbuild_, folder_, "one");
  ASSERT_TRUE(steps);
  const std::string text = write_module_steps(*steps);
  EXPECT_EQ(parse_module_steps(text), steps);
  EXPECT_FALSE(parse_module_steps(text.substr(0, text.size() - 5)));
  EXPECT_FALSE(parse_module_steps("another version\n" + text.substr(text.find('\n') + 1)));
  EXPECT_FALSE(parse_module_steps(""));
}

}  // namespace
}  // namespace ksplice
