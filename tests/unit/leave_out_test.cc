#include "create/leave_out.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ksplice {
namespace {

constexpr const char* Source =
    "int one(void)\n{\n\treturn 1;\n}\n\nint two(void)\n{\n\tint b = 2;\n\treturn b;\n}\n";

std::optional<std::string> read_source(const std::string& path) {
  return path == "a.c" ? std::optional<std::string>(Source) : std::nullopt;
}

Patch patch_of(const std::string& name, const std::string& hunks) {
  return parse_patch("--- a/a.c\n+++ b/a.c\n" + hunks, 1, "dir/" + name);
}

std::vector<Patch> series() {
  return {patch_of("1.patch", "@@ -2,2 +2,3 @@\n {\n+\tcall();\n \treturn 1;\n"),
          patch_of("2.patch", "@@ -3,2 +3,2 @@\n \tcall();\n-\treturn 1;\n+\treturn 2;\n"),
          patch_of("3.patch", "@@ -9 +9 @@\n-\tint b = 2;\n+\tint b = 3;\n"),
          patch_of("4.patch", "@@ -10,2 +10,2 @@\n-\treturn b;\n+\treturn b + 1;\n }\n")};
}

RestCheck check(const std::vector<Patch>& patches, const std::vector<LeftOutPatch>& left_out) {
  return check_rest(patches, left_out, read_source);
}

LeftOutPatch chosen(size_t patch) { return {patch, "", ""}; }
LeftOutPatch refused(size_t patch) { return {patch, "type_changed", "struct foo changed"}; }

TEST(CheckRest, NothingLeftOut) {
  EXPECT_TRUE(check(series(), {}).refusals.empty());
  EXPECT_TRUE(check(series(), {}).notes.empty());
}

TEST(CheckRest, APatchThatStandsOnALineOfAnother) {
  for (const LeftOutPatch& left : {chosen(0), refused(0)}) {
    RestCheck rest = check(series(), {left});
    ASSERT_EQ(rest.refusals.size(), 1u);
    const Refusal& refusal = rest.refusals[0];
    EXPECT_EQ(refusal.code, "needs_patch");
    EXPECT_EQ(refusal.message,
              "2.patch needs 1.patch, which is left out: without it, it does not apply");
    EXPECT_EQ(refusal.origins, (std::vector<Origin>{{"2.patch", "a.c", "@@ -3,2 +3,2 @@"}}));
    EXPECT_NE(refusal.advice.find("--leave-out=2.patch"), std::string::npos);
  }
}

TEST(CheckRest, APatchThatNeedsWhatAnotherTookAway) {
  std::vector<Patch> patches = {patch_of("1.patch", "@@ -2,3 +2,2 @@\n {\n-\treturn 1;\n }\n"),
                                patch_of("2.patch", "@@ -2,2 +2,3 @@\n {\n+\tcall();\n }\n")};
  RestCheck rest = check(patches, {chosen(0)});
  ASSERT_EQ(rest.refusals.size(), 1u);
  EXPECT_EQ(rest.refusals[0].message,
            "2.patch needs 1.patch, which is left out: without it, it does not apply");
}

TEST(CheckRest, APatchThatWouldApplyElsewhere) {
  // The line that 1.patch brings is somewhere else, too.
  std::vector<Patch> patches = {
      patch_of("1.patch", "@@ -2,2 +2,3 @@\n {\n+\treturn b;\n \treturn 1;\n"),
      patch_of("2.patch", "@@ -3 +3 @@\n-\treturn b;\n+\treturn c;\n")};
  EXPECT_TRUE(weave(patches, {0}, read_source).all_placed(1));
  RestCheck rest = check(patches, {chosen(0)});
  ASSERT_EQ(rest.refusals.size(), 1u);
  EXPECT_NE(rest.refusals[0].message.find("applied to other lines"), std::string::npos);
}

// What 1.patch changes is not known: it fits nowhere.
TEST(CheckRest, APatchOfTheFileOfOneThatDoesNotApply) {
  std::vector<Patch> patches = {
      patch_of("1.patch", "@@ -2,2 +2,3 @@\n {\n+\tcall();\n \treturn 7;\n"),
      patch_of("2.patch", "@@ -3 +3 @@\n-\treturn 1;\n+\treturn 2;\n")};
  RestCheck rest = check(patches, {{0, "patch_failed", "a hunk does not fit"}});
  ASSERT_EQ(rest.refusals.size(), 1u);
  EXPECT_EQ(rest.refusals[0].code, "needs_patch");
  EXPECT_NE(rest.refusals[0].message.find("a.c"), std::string::npos);
  EXPECT_TRUE(check(patches, {{0, "already_in_source", "it is there"}}).refusals.empty());
  rest = check(patches, {chosen(0)});
  EXPECT_TRUE(rest.refusals.empty());
  EXPECT_EQ(rest.notes.size(), 1u);
}

TEST(CheckRest, AChain) {
  std::vector<Patch> patches = series();
  patches.push_back(patch_of("5.patch", "@@ -4 +4 @@\n-\treturn 2;\n+\treturn 4;\n"));
  RestCheck rest = check(patches, {chosen(0)});
  ASSERT_EQ(rest.refusals.size(), 2u);
  EXPECT_EQ(rest.refusals[1].follows, "needs_patch of 2.patch");
  EXPECT_EQ(rest.refusals[1].message,
            "5.patch needs 2.patch, which needs what is left out: without it, it does not apply");
}

TEST(CheckRest, HalfOfAFunction) {
  // The user decided: said, and made. By itself a later one is not made without the one before.
  RestCheck rest = check(series(), {chosen(2)});
  EXPECT_TRUE(rest.refusals.empty());
  ASSERT_EQ(rest.notes.size(), 1u);
  EXPECT_EQ(rest.notes[0],
            "4.patch changes two(), which 3.patch changes too and is left out: the update has only "
            "a part of that change");
  rest = check(series(), {refused(2)});
  ASSERT_EQ(rest.refusals.size(), 1u);
  EXPECT_NE(rest.refusals[0].message.find("changes two(), too; alone it could be half of a fix"),
            std::string::npos);
  // An earlier one was a state of the series.
  rest = check(series(), {refused(3)});
  EXPECT_TRUE(rest.refusals.empty());
  EXPECT_EQ(rest.notes.size(), 1u);
  // Other functions.
  EXPECT_TRUE(check(series(), {refused(1)}).notes[0].starts_with("1.patch changes one()"));
}

TEST(CheckRest, AMacroThatIsOnlyAskedFor) {
  std::vector<Patch> patches = {
      parse_patch("--- /dev/null\n+++ b/a.h\n@@ -0,0 +1 @@\n+#define HAS_CALL 1\n", 1, "1.patch"),
      patch_of("2.patch",
               "@@ -2,2 +2,5 @@\n {\n+#ifdef HAS_CALL\n+\tcall();\n+#endif\n \treturn 1;\n")};
  RestCheck rest = check(patches, {chosen(0)});
  ASSERT_EQ(rest.refusals.size(), 1u);
  EXPECT_NE(rest.refusals[0].message.find("it asks for HAS_CALL"), std::string::npos);
  // Another patch of the rest defines it as well, and otherwise.
  patches.push_back(patch_of("3.patch", "@@ -1 +1,2 @@\n+# define HAS_CALL 2\n int one(void)\n"));
  rest = check(patches, {chosen(0)});
  ASSERT_EQ(rest.refusals.size(), 1u);
  EXPECT_NE(rest.refusals[0].message.find("which that defines otherwise"), std::string::npos);
}

TEST(CheckRest, AMacroThatIsTakenAwayOrAskedForInAContinuedLine) {
  const Patch gone =
      parse_patch("--- a/a.c\n+++ b/a.c\n@@ -1 +1 @@\n-#define OLD 1\n+int x;\n", 1, "1.patch");
  const SourceReader read = [](const std::string& path) {
    return path == "a.c"   ? std::optional<std::string>("#define OLD 1\nint y;\n")
           : path == "b.c" ? std::optional<std::string>("int z;\n")
                           : std::nullopt;
  };
  auto asks = [](const std::string& condition, int lines) {
    return parse_patch("--- a/b.c\n+++ b/b.c\n@@ -1 +1," + std::to_string(lines) + " @@\n" +
                           condition + "+int w;\n+#endif\n int z;\n",
                       1, "2.patch");
  };
  for (const Patch& patch :
       {asks("+#ifndef OLD\n", 4), asks("+#if defined(A) && \\\n+    defined(OLD)\n", 5)}) {
    const RestCheck rest = check_rest({gone, patch}, {chosen(0)}, read);
    ASSERT_EQ(rest.refusals.size(), 1u);
    EXPECT_NE(rest.refusals[0].message.find("it asks for OLD"), std::string::npos);
  }
  EXPECT_TRUE(check_rest({gone, asks("+#ifdef OTHER\n", 4)}, {chosen(0)}, read).refusals.empty());
}

// A series of two: what makefile and Kconfig files give, and what asks for it.
struct BuildCase {
  std::string path, before;  // of the first patch's file
  std::string hunk;          // of it
  std::string user, use;     // the file and the hunk of the second patch
  std::string need;          // what must be said; "" if they have nothing to do with each other
};

RestCheck check_build(const BuildCase& each) {
  auto patch = [](const std::string& path, const std::string& hunk, const std::string& name) {
    const std::string old = hunk.starts_with("@@ -0,0") ? "/dev/null" : "a/" + path;
    return parse_patch("--- " + old + "\n+++ b/" + path + "\n" + hunk, 1, name);
  };
  const SourceReader read = [&](const std::string& path) {
    return path == each.path ? std::optional<std::string>(each.before)
           : path == "fs/proc/version.c" || path == "fs/Makefile"
               ? std::optional<std::string>("int x;\n")
               : std::nullopt;
  };
  return check_rest({patch(each.path, each.hunk, "1.patch"), patch(each.user, each.use, "2.patch")},
                    {chosen(0)}, read);
}

std::string asks(const std::string& condition) {
  const auto lines = 4 + std::count(condition.begin(), condition.end(), '\n');
  return "@@ -1 +1," + std::to_string(lines) + " @@\n+#if" + condition +
         "\n+int w;\n+#endif\n int x;\n";
}

TEST(CheckRest, WhatMakefilesAndKconfigFilesDecide) {
  const std::string make = "fs/proc/Makefile", config = "fs/proc/Kconfig";
  const std::string objects = "obj-y := a.o \\\n b.o\nproc-$(CONFIG_OLD) += c.o\n";
  const std::string options = "config OLD\n\tbool\nconfig OTHER\n\tbool\nif OLD\nendif\n";
  const std::string c = "fs/proc/version.c", added = "@@ -0,0 +1 @@\n+int d;\n";
  const std::string flag = "@@ -3 +3,2 @@\n proc-$(CONFIG_OLD) += c.o\n";
  const std::string select = "@@ -3,3 +3,4 @@\n config OTHER\n \tbool\n+\tselect NEW\n if OLD\n";
  const BuildCase cases[] = {
      {make, objects, flag + "+CFLAGS_version.o += -DMODE=2\n", c, asks("def MODE"),
       "2.patch needs 1.patch, which is left out: it asks for MODE, which that sets in " + make},
      {make, objects, flag + "+ccflags-y += \"-DCONFIG_MODE\"\n", c,
       asks(" 1\n+#elif defined(CONFIG_MODE)"), "asks for CONFIG_MODE,"},
      {make, objects, flag + "+modes := MODE\n", c, asks(" MODE > 1"), "asks for MODE,"},
      {make, objects, flag + "+ccflags-$(CONFIG_OLD) += -DMODE\n", c, asks("def CONFIG_OLD"), ""},
      {make, objects, flag + "+modes := y\n", "fs/Makefile",
       "@@ -1 +1,2 @@\n int x;\n+obj-$(modes) += z.o\n", "asks for modes,"},
      {make, objects, flag + "+obj-y += d.o\n", "fs/proc/d.c", added,
       "changes fs/proc/d.c, of which that decides in " + make},
      {make, objects, flag + "+obj-y += d.o\n", "fs/proc/de.c", added, ""},
      {make, objects, flag + "+obj-y += d/\n", "fs/proc/d/e.c", added, "changes fs/proc/d/e.c,"},
      {make, objects, flag + "+CFLAGS_REMOVE_d.o = -pg\n", "fs/proc/d.c", added,
       "changes fs/proc/d.c,"},
      {make, objects, flag + "+CFLAGS_version.o = -O3\n", c, "@@ -1 +1 @@\n-int x;\n+int y;\n", ""},
      {make, objects, "@@ -1,2 +1,2 @@\n obj-y := a.o \\\n- b.o\n+ b.o d.o\n", "fs/proc/b.c", added,
       ""},
      {config, options, select, c, asks("def CONFIG_OTHER_MODULE"),
       "asks for CONFIG_OTHER_MODULE,"},
      {config, options, select, c, asks("def CONFIG_OLD"), ""},
      {config, options, select, c, "@@ -1 +1 @@\n-int x;\n+int x = IS_REACHABLE(CONFIG_OTHER);\n",
       "asks for CONFIG_OTHER,"},
      {config, options, select, make, "@@ -0,0 +1 @@\n+obj-$(CONFIG_OTHER) += x.o\n",
       "asks for CONFIG_OTHER,"},
      {config, options, select, "fs/Kconfig", "@@ -0,0 +1,2 @@\n+config Q\n+\tdepends on OTHER\n",
       "asks for OTHER,"},
      {config, options, "@@ -5,2 +5,2 @@\n-if OLD\n+if OTHER\n endif\n", c, asks("def CONFIG_X"),
       "asks for CONFIG_X,"},
      // One that does not fit, and one that is there.
      {config, "bool\n", select, c, asks("def CONFIG_Y"), "asks for CONFIG_Y,"},
      {config, "config OTHER\n\tbool\n\tselect NEW\nif OLD\n", select, c, asks("def CONFIG_OTHER"),
       ""},
  };
  for (const BuildCase& each : cases) {
    const RestCheck rest = check_build(each);
    ASSERT_EQ(rest.refusals.size(), each.need.empty() ? 0u : 1u) << each.hunk << each.use;
    if (each.need.empty()) continue;
    EXPECT_EQ(rest.refusals[0].code, "needs_patch");
    EXPECT_NE(rest.refusals[0].message.find(each.need), std::string::npos)
        << rest.refusals[0].message;
  }
}

TEST(FindPatches, ByNamePathAndNumber) {
  std::vector<Patch> patches = series();
  patches[2].name = "dir/mails.mbox#1";
  patches[2].label = "mails.mbox#1";
  patches[3].name = "dir/mails.mbox#2";
  patches[3].label = "mails.mbox#2";
  using Found = std::vector<size_t>;
  EXPECT_EQ(find_patches(patches, "1.patch"), Found{0});
  EXPECT_EQ(find_patches(patches, "dir/2.patch"), Found{1});
  EXPECT_EQ(find_patches(patches, "mails.mbox#2"), Found{3});
  EXPECT_EQ(find_patches(patches, "dir/mails.mbox"), (Found{2, 3}));
  EXPECT_THROW(find_patches(patches, "5.patch"), Error);
  EXPECT_THROW(find_patches(patches, "other/1.patch"), Error);
}

TEST(FindMissing, WhatOnlyTheLeftOutPatchBrings) {
  const std::vector<Patch> patches = series();
  const std::string error =
      "a.o does not compile with the patch:\n../a.c:9:2: error: implicit declaration of function "
      "\xe2\x80\x98"
      "call\xe2\x80\x99 [-Werror=implicit-function-declaration]\n";
  std::optional<Missing> missing = find_missing(patches, {chosen(0)}, error);
  ASSERT_TRUE(missing.has_value());
  EXPECT_EQ(missing->patch, 0u);
  EXPECT_EQ(missing->word, "call");
  EXPECT_FALSE(find_missing(patches, {chosen(1)}, error));
  EXPECT_TRUE(find_missing(patches, {chosen(0)}, "ERROR: modpost: \"call\" [a.ko] undefined!"));
  EXPECT_FALSE(find_missing(patches, {chosen(0)}, "a.c:9:2: warning: 'call' is not used"));
}

Refusal refusal_of(const std::string& code, const std::string& patch,
                   const std::string& follows = "") {
  Refusal refusal;
  refusal.code = code;
  refusal.message = code + " of " + patch;
  refusal.follows = follows;
  if (!patch.empty()) refusal.origins = {{patch, "a.c", "@@ -1 +1 @@"}};
  return refusal;
}

TEST(LeaveOutCulprits, CausesAndNotConsequences) {
  std::vector<LeftOutPatch> left_out;
  std::vector<Refusal> reasons;
  Refused error({refusal_of("type_changed", "2.patch"),
                 refusal_of("no_ftrace_site", "3.patch", "type_changed of struct foo")});
  std::vector<LeftOutPatch> found = leave_out_culprits(error, series(), left_out, reasons);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].patch, 1u);
  EXPECT_EQ(found[0].code, "type_changed");
  EXPECT_EQ(found[0].why, "type_changed of 2.patch");
  EXPECT_EQ(left_out.size(), 1u);
  EXPECT_EQ(reasons.size(), 2u);
}

TEST(LeaveOutCulprits, UntilNothingIsLeft) {
  std::vector<Patch> patches = series();
  patches.resize(2);
  std::vector<LeftOutPatch> left_out;
  std::vector<Refusal> reasons;
  Refused first({refusal_of("type_changed", "1.patch")});
  EXPECT_EQ(leave_out_culprits(first, patches, left_out, reasons).size(), 1u);
  Error second("compile_failed", "a.o does not compile:\na.c:1:1: error: no x");
  second.origins = {{"2.patch", "a.c", ""}};
  try {
    leave_out_culprits(second, patches, left_out, reasons);
    FAIL();
  } catch (const Refused& all) {
    ASSERT_EQ(all.refusals.size(), 2u);
    EXPECT_EQ(all.refusals[0].code, "type_changed");
    EXPECT_EQ(all.refusals[1].code, "compile_failed");
  }
}

TEST(LeaveOutCulprits, NothingChangesWithoutThem) {
  std::vector<LeftOutPatch> left_out;
  std::vector<Refusal> reasons;
  Error no_change("no_change", "no changes detected");
  EXPECT_TRUE(leave_out_culprits(no_change, series(), left_out, reasons).empty());
  reasons.clear();
  Refused first({refusal_of("type_changed", "1.patch")});
  leave_out_culprits(first, series(), left_out, reasons);
  EXPECT_THROW(leave_out_culprits(no_change, series(), left_out, reasons), Refused);
}

TEST(LeaveOutCulprits, WhatCannotBeTold) {
  std::vector<LeftOutPatch> left_out;
  std::vector<Refusal> reasons;
  Refused error({refusal_of("unknown_section", "")});
  EXPECT_TRUE(leave_out_culprits(error, series(), left_out, reasons).empty());
  EXPECT_NE(error.refusals[0].advice.find("--leave-out names one"), std::string::npos);
  EXPECT_TRUE(left_out.empty());
}

TEST(ThrowMissing, SaysWhoNeedsWhom) {
  Error error("compile_failed", "a.o does not compile:\n../a.c:9:2: error: 'call' undeclared");
  error.origins = {{"2.patch", "a.c", "@@ -3,2 +3,2 @@"}};
  EXPECT_NO_THROW(throw_missing(series(), {}, error));
  try {
    throw_missing(series(), {chosen(0)}, error);
    FAIL();
  } catch (const Refused& refused) {
    EXPECT_EQ(refused.refusals[0].code, "needs_patch");
    EXPECT_TRUE(
        refused.refusals[0].message.starts_with("2.patch needs 1.patch, which is left out"));
    EXPECT_EQ(culprits_of(refused, series()), (std::set<size_t>{1}));
  }
}

TEST(AdviseLeavingOut, WhereARestIsLeft) {
  std::vector<Patch> patches = series();
  Refused error({refusal_of("type_changed", "1.patch")});
  advise_leaving_out(error, patches, {});
  EXPECT_EQ(error.refusals[0].advice,
            "--keep-going tries to make the rest of the series, without 1.patch");
  patches.resize(1);
  Refused only({refusal_of("type_changed", "1.patch")});
  advise_leaving_out(only, patches, {});
  EXPECT_EQ(only.refusals[0].advice, "");
}

}  // namespace
}  // namespace ksplice
