// What a refusal proposes, by situation: what would help must be in the hint, and what would do
// harm, or nothing, must not.
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

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
    {"exit-function-changed.c", "init_changed", "the old one will run", "ksplice_apply"},
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
    {"type-unnamed-variable.c", "type_changed", "in the order that they had", "shadow"},
    {"btf-ids-added.c", "data_changed", "needs a reboot", "return an error"},
    {"btf-ids-swapped.c", "data_changed", "let the function return an error (func second)",
     nullptr},
    {"btf-ids-flags.c", "data_changed", "old flags of func first", "reboot"},
    {"btf-ids-list.c", "data_changed", "look for another number", "btf_id_set_contains"},
    {"btf-ids-set.c", "data_changed", "let is_allowed() accept or refuse func second itself",
     "reboot"},
    {"ops-table-assigned.c", "data_changed", "probe() copies it by an assignment", "read-only"},
    {"ops-table-copied.c", "data_changed", "probe() copies it by kmemdup()", "use_new"},
    {"ops-table-held.c", "data_changed", "WRITE_ONCE(object->ops[i].b, g)", "copies it"},
    {"ops-table-pointed-to.c", "data_changed", "a hook cannot write it", "copies"},
    {"enum-flags-shifted.c", "type_changed",
     "DIRTY = 2, and put what is new behind the last: LOCKED = 4", nullptr},
    {"enum-inserted.c", "type_changed",
     "leave BUSY = 1, and put what is new behind the last: WAITING = 2", nullptr},
    {"layout-end-of-array.c", "type_changed", "data (int data[16], at offset 4) as long", "shadow"},
    {"layout-end-of-array-same-size.c", "type_changed", "leave member data", "keeps its"},
    {"layout-last-member.c", "type_changed", "keeps its 16 bytes", "shadow"},
    {"layout-last-member-same-size.c", "type_changed", "(int users, at offset 12)", "shadow"},
    {"layout-flexible-of-one.c", "type_changed", "leave member data (int data[1]", "shadow"},
    {"layout-flexible-added.c", "type_changed", "no room", "shadow"},
    {"layout-fills-bits.c", "type_changed", "bit 2 at offset 0, where there was a gap", nullptr},
    {"layout-array-into-gap.c", "type_changed", "(char name[10], at offset 4)", "a gap"},
    {"layout-other-arm.c", "type_changed", "conn_new(object)->mark", "a gap"},
    {"layout-grows.c", "type_changed", "conn_put() (", nullptr},
    {"type-moved-members.c", "type_changed", "in the order that they had", "shadow"},
    {"type-alignment.c", "type_changed", "the alignment", "shadow"},
};

Object object_of(const std::string& pair, bool post, const std::string& more = "-DNOTHING") {
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
  command.push_back(more);
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

const Refusal* type_refusal(const ObjectDiff& diff) {
  for (const Refusal& refusal : diff.refusals)
    if (refusal.code == "type_changed") return &refusal;
  return nullptr;
}

// A pair that says PROPOSED is what its hint makes of the patch.
TEST(LayoutHint, IsTakenWhenItIsFollowed) {
  size_t tried = 0;
  for (const auto& entry : std::filesystem::directory_iterator(KSPLICE_TEST_DATA "/diff-pairs")) {
    if (read_text(entry.path()).find("PROPOSED") == std::string::npos) continue;
    ++tried;
    const std::string pair = entry.path().filename();
    const Object pre = object_of(pair, false);
    EXPECT_NE(type_refusal(diff_objects(pre, object_of(pair, true))), nullptr) << pair;
    const ObjectDiff diff = diff_objects(pre, object_of(pair, true, "-DPROPOSED"));
    EXPECT_TRUE(diff.refusals.empty()) << pair << ": " << diff.refusals[0].message;
    EXPECT_FALSE(diff.identical) << pair;
  }
  EXPECT_GE(tried, 5u);
}

// The option is for gaps only.
TEST(LayoutHint, ZeroedIsForWhatNobodyUsed) {
  auto option = [](const std::string& pair) {
    const ObjectDiff diff = diff_objects(object_of(pair, false), object_of(pair, true));
    const Refusal* refusal = type_refusal(diff);
    return refusal == nullptr ? "no refusal" : refusal->option;
  };
  EXPECT_EQ(option("layout-fills-bits.c"), "--zeroed");
  EXPECT_EQ(option("type-member-in-hole.c"), "--zeroed");
  EXPECT_EQ(option("type-target-member-in-hole.c"), "--zeroed");
  for (const char* pair :
       {"layout-wider-bits.c", "layout-array-into-gap.c", "layout-other-arm.c", "layout-grows.c",
        "layout-struct-around-swapped.c", "layout-flexible-added.c", "type-bit-field.c",
        "layout-last-member-same-size.c", "type-member-added.c", "layout-behind-open-array.c",
        "layout-behind-inner-array.c", "layout-shared-gap.c", "type-moved-members.c"})
    EXPECT_EQ(option(pair), "") << pair;
}

// The code of a hint, as it stands there.
std::string code_of(const std::string& advice) {
  std::istringstream stream(advice);
  std::string code, line;
  while (std::getline(stream, line))
    if (line.starts_with("    ")) code += line.substr(4) + "\n";
  return code;
}

// With what a kernel would have, in a file that knows the old structure.
TEST(LayoutHint, ShadowCodeCompiles) {
  const test::Workshop workshop;
  const std::filesystem::path include = workshop.file("linux");
  std::filesystem::create_directory(include);
  write_file(include / "compiler.h", std::string());
  write_file(include / "types.h",
             std::string("typedef unsigned gfp_t; typedef unsigned long size_t;\n"));
  write_file(include / "slab.h",
             std::string("#define GFP_ATOMIC 0\n#define NULL ((void *)0)\n"
                         "#define INIT_LIST_HEAD(list) ((list)->next = (list)->prev = (list))\n"));
  for (const char* pair : {"layout-grows.c", "layout-fills-bits.c", "layout-wider-bits.c",
                           "type-member-added.c", "layout-array-into-gap.c"}) {
    const ObjectDiff diff = diff_objects(object_of(pair, false), object_of(pair, true));
    ASSERT_NE(type_refusal(diff), nullptr) << pair;
    const std::string code = code_of(type_refusal(diff)->advice);
    ASSERT_NE(code.find("ksplice_shadow_get_or_attach"), std::string::npos) << pair;
    workshop.compile("shadow.c",
                     "#include \"" KSPLICE_TEST_DATA "/diff-pairs/" + std::string(pair) + "\"\n" +
                         code + "void *kept(struct conn *c) { return conn_new(c); }\n",
                     {"-Wall", "-Werror", "-Wno-pointer-sign", "-std=gnu11", "-I",
                      workshop.file(""), "-I", KSPLICE_TEST_DATA "/../kmod-core"});
  }
}

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

TEST(SettleConsent, WhatIsSaidToBeZeroMayHaveANewMember) {
  std::deque<ChangedUnit> units;
  Refusal gap;
  gap.code = "type_changed", gap.symbol = "struct conn", gap.option = "--zeroed";
  Options options;
  std::vector<Refusal> list = {gap, gap};
  EXPECT_TRUE(settle_consent(options, units, list).empty());
  EXPECT_NE(list.at(0).advice.find("use --zeroed='struct conn'"), std::string::npos);
  options.not_live = {"struct conn"};
  EXPECT_TRUE(settle_consent(options, units, list).empty());
  options.zeroed = {"struct conn"};
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

// The option is proposed where it does something.
TEST(SettleConsent, ATableThatIsCopiedIsNotToBeSwitched) {
  for (const auto& [pair, proposed] : {std::pair("ops-table-assigned.c", false),
                                       {"ops-table-copied.c", false},
                                       {"ops-table-held.c", false},
                                       {"ops-table-pointed-to.c", true}}) {
    std::deque<ChangedUnit> units(1);
    units[0].diff = diff_objects(object_of(pair, false), object_of(pair, true));
    std::vector<Refusal> list = units[0].diff.refusals;
    for (Refusal& each : list) units[0].name = each.object;
    settle_consent({}, units, list);
    ASSERT_EQ(list.size(), 1u) << pair;
    EXPECT_EQ(list[0].advice.find("use --change-pointers=table") != std::string::npos, proposed)
        << list[0].advice;
    Options options;
    options.change_pointers = {"table"};
    const std::vector<std::string> notes = settle_consent(options, units, list);
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_EQ(notes[0].find("not in copies of it") == std::string::npos, proposed) << notes[0];
  }
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
