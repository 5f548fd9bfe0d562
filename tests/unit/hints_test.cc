// What a refusal proposes, by situation: what would help must be in the hint, and what would do
// harm, or nothing, must not.
#include <gtest/gtest.h>

#include "create/consent.h"
#include "create/hints.h"
#include "objdiff/base/process.h"
#include "objdiff/diff/section_diff.h"
#include "objdiff/object/atoms.h"
#include "objdiff/object/elf_read.h"
#include "tests/unit/compile.h"

namespace ksplice {
namespace {

// A pair of tests/diff-pairs, and the hint of its refusal.
struct Row {
  const char* pair;
  const char* code;
  const char* says;
  const char* says_not;  // may be null
};

const Row Rows[] = {
    // Run once more, it would register again what is registered.
    {"init-function-changed.c", "init_changed", "must not be done twice", "do what it would have"},
    // It has not run yet, and the old one will.
    {"exit-function-changed.c", "init_changed", "the old one does", "ksplice_apply"},
    {"init-data-changed.c", "init_changed", "exists already", nullptr},
    // A write to read-only memory is an oops.
    {"ro-after-init-changed.c", "data_changed", "a hook cannot write it", "ksplice_apply"},
    {"constant-table-global.c", "data_changed", "a hook cannot write it", "ksplice_apply"},
    {"ops-table-changed.c", "data_changed", "a hook cannot write it", "ksplice_apply"},
    {"data-initial-value.c", "data_changed", "ksplice_apply hook, under the lock", nullptr},
    // An array is no object to which a shadow variable can belong.
    {"data-grown.c", "data_resized", "an object of another name", "shadow"},
    {"data-device-table.c", "data_resized", "new_id", "shadow"},
    {"type-member-added.c", "type_changed", "shadow variable", nullptr},
    {"state-packed.c", "state_lost", "--begin-anew=", "shadow"},
    {"constant-stored.c", "data_changed", "one of another name", "ksplice_apply"},
    {"type-unnamed-variable.c", "type_changed", "one of another name", "shadow"},
};

Object object_of(const std::string& pair, bool post) {
  const test::Workshop workshop;
  const std::string object = workshop.file("a.o");
  std::vector<std::string> command = {KSPLICE_TEST_CC, "-c",
                                      KSPLICE_TEST_DATA "/diff-pairs/" + pair, "-o", object};
  for (const char* flag :
       {"-g", "-O2", "-fno-PIE", "-mcmodel=kernel", "-mno-sse", "-pg", "-mfentry",
        "-mrecord-mcount", "-fcf-protection=none", "-w", "-fno-toplevel-reorder",
        "-fno-asynchronous-unwind-tables", "-ffunction-sections", "-fdata-sections"})
    command.emplace_back(flag);
  if (post) command.emplace_back("-DPOST");
  workshop.run(command);
  Object result = read_object(object);
  normalise(result);
  return result;
}

class Hint : public testing::TestWithParam<Row> {};

TEST_P(Hint, LeadsNowhereWrong) {
  const Row& row = GetParam();
  const Object pre = object_of(row.pair, false), post = object_of(row.pair, true);
  const ObjectDiff diff = diff_objects(pre, post);
  bool found = false;
  for (const Refusal& refusal : diff.refusals) {
    if (refusal.code != row.code) continue;
    found = true;
    EXPECT_NE(refusal.advice.find(row.says), std::string::npos) << refusal.advice;
    if (row.says_not == nullptr) continue;
    EXPECT_EQ(refusal.advice.find(row.says_not), std::string::npos) << refusal.advice;
  }
  EXPECT_TRUE(found) << "no " << row.code;
}

INSTANTIATE_TEST_SUITE_P(Table, Hint, testing::ValuesIn(Rows), [](const auto& info) {
  std::string name = info.param.pair;
  for (char& c : name)
    if (c == '-' || c == '.') c = '_';
  return name;
});

Refusal refusal(const std::string& code, const std::string& object, const std::string& advice,
                const std::string& follows = "") {
  Refusal result;
  result.code = code;
  result.object = object;
  result.advice = advice;
  result.follows = follows;
  return result;
}

TEST(CorrectHints, BesideAChangedType) {
  std::vector<Refusal> list = {
      refusal("type_changed", "a.o", "keep it"),
      refusal("always_busy", "a.o", "use --allow-busy=f"),
      refusal("always_busy", "b.o", "use --allow-busy=g"),
      refusal("no_ftrace_site", "a.o", "patch its callers", "type_changed of struct foo")};
  correct_hints(list);
  EXPECT_EQ(list[0].advice, "keep it");
  EXPECT_NE(list[1].advice.find("--allow-busy would not do"), std::string::npos);
  EXPECT_EQ(list[2].advice, "use --allow-busy=g");
  EXPECT_EQ(list[3].advice, "see to the type_changed of struct foo first: this may be gone then");
}

TEST(SettleConsent, LeaveOutInitIsProposedWhereItHelps) {
  std::deque<ChangedUnit> units(1);
  FunctionDiff function;
  function.name = "f";
  function.status = DiffStatus::Changed;
  function.section = ".text.f";
  units[0].name = "a.o";
  units[0].diff.functions = {function};
  std::vector<Refusal> list = {refusal("init_changed", "a.o", "leave it"),
                               refusal("init_changed", "b.o", "leave it"),
                               refusal("init_needed", "a.o", "set it up")};
  settle_consent({}, units, list);
  ASSERT_EQ(list.size(), 3u);
  EXPECT_NE(list[0].advice.find("--leave-out-init would not do"), std::string::npos);
  EXPECT_NE(list[1].advice.find("use --leave-out-init"), std::string::npos);
}

// An object of two modules is two units of one name.
TEST(SettleConsent, WhatIsSaidToBeAnotherVariableBeginsAnew) {
  std::deque<ChangedUnit> units;
  Refusal lost;
  lost.code = "state_lost", lost.object = "a.o", lost.symbol = "stats", lost.expected = "users";
  Options options;
  options.begin_anew = {"other"};
  std::vector<Refusal> list = {lost};
  EXPECT_TRUE(settle_consent(options, units, list).empty());
  EXPECT_EQ(list.size(), 1u);
  options.begin_anew = {"stats"};
  EXPECT_EQ(settle_consent(options, units, list).size(), 1u);
  EXPECT_TRUE(list.empty());
}

TEST(SettleConsent, WhatIsSaidNotToLiveMayChange) {
  std::deque<ChangedUnit> units;
  Refusal live, stack;
  live.code = stack.code = "type_changed", live.symbol = stack.symbol = "struct walk";
  stack.option = "--not-live";
  Options options;
  std::vector<Refusal> list = {live, stack};
  EXPECT_TRUE(settle_consent(options, units, list).empty());
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].advice.find("--not-live"), std::string::npos);
  EXPECT_NE(list[1].advice.find("--not-live='struct walk'"), std::string::npos);
  options.not_live = {"struct walk"};
  EXPECT_EQ(settle_consent(options, units, list).size(), 1u);
  EXPECT_EQ(list.size(), 1u);
}

TEST(SettleConsent, ChangesInPlaceInEachModule) {
  std::deque<ChangedUnit> units(2);
  for (ChangedUnit& unit : units) {
    DataDiff data;
    data.name = "limit";
    data.status = DiffStatus::Changed;
    data.places.values = {0};
    unit.name = "a.o";
    unit.diff.data = {data};
  }
  std::vector<Refusal> list(2, refusal("data_changed", "a.o", "hooks"));
  for (Refusal& each : list) each.symbol = "limit";
  Options options;
  options.change_values = {"limit"};
  EXPECT_EQ(settle_consent(options, units, list).size(), 1u);
  EXPECT_TRUE(list.empty());
  EXPECT_TRUE(units[0].diff.data[0].in_place);
  EXPECT_TRUE(units[1].diff.data[0].in_place);
}

}  // namespace
}  // namespace ksplice
