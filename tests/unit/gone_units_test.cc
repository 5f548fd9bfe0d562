#include "create/gone_units.h"

#include <gtest/gtest.h>

namespace ksplice {
namespace {

using Units = std::map<std::string, ConfiguredUnit>;

FileChange change(ChangeKind kind, const std::string& path, const std::string& old_path = "") {
  return {kind, path, old_path, {}};
}

// The units as "pre post target", and what is refused.
std::string text(const Affected& affected) {
  std::string result;
  for (const AffectedUnit& unit : affected.units)
    result += unit.pre + " > " + unit.post + " " + unit.target + "\n";
  for (const Refusal& refusal : affected.refusals) result += refusal.message + "\n";
  return result;
}

const Units Before = {{"fs/a.c", {"fs/a.o", ""}},
                      {"fs/b.c", {"fs/b.o", "fat"}},
                      {"virt/c.c", {"fs/../virt/c.o", "fat"}}};

TEST(CompareUnitLists, NothingIsGone) {
  Affected affected;
  compare_unit_lists(Before, Before, affected);
  EXPECT_EQ(text(affected), "");
  EXPECT_TRUE(affected.notes.empty());
}

TEST(CompareUnitLists, WhatNoListHasAnyMore) {
  Affected affected;
  affected.units = {{"fs/b.o", "fs/b.o", false, "fat"}};  // it reads a header of the patch, too
  compare_unit_lists(Before, {Before.begin(), std::next(Before.begin())}, affected);
  EXPECT_EQ(text(affected), "fs/b.o >  fat\nfs/../virt/c.o >  fat\n");
  EXPECT_TRUE(affected.units[0].certain);
  EXPECT_EQ(affected.notes[0], "fs/b.o of fat is gone: its running code stays");
}

TEST(CompareUnitLists, ARenamedUnitIsNotGone) {
  Units after = Before;
  after.erase("fs/a.c");
  after["fs/d.c"] = {"fs/d.o", ""};
  Affected affected;
  affected.units = {{"fs/a.o", "fs/d.o", true, "vmlinux"}};
  affected.changes = {change(ChangeKind::Renamed, "fs/d.c", "fs/a.c")};
  compare_unit_lists(Before, after, affected);
  EXPECT_EQ(text(affected), "fs/a.o > fs/d.o vmlinux\n");
}

TEST(CompareUnitLists, AUnitOfAnotherTargetIsRefused) {
  Units after = Before;
  after["fs/a.c"].module = "fat";
  Affected affected;
  compare_unit_lists(Before, after, affected);
  EXPECT_EQ(text(affected), "with the patch, fs/a.c is a part of fat and no longer of vmlinux\n");
}

TEST(CompareUnitLists, AUnitThatIsBuiltNowMustBeNew) {
  Units after = Before;
  after["fs/d.c"] = {"fs/d.o", ""};
  after["fs/e.c"] = {"fs/e.o", ""};
  Affected affected;
  affected.changes = {change(ChangeKind::Added, "fs/d.c")};
  compare_unit_lists(Before, after, affected);
  EXPECT_EQ(text(affected), "with the patch, fs/e.c is a part of vmlinux, and no new file\n");
}

}  // namespace
}  // namespace ksplice
