// The difference of two releases: its files, what belongs together, and what the changelog says.
#include "create/release/parts.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "create/release/changelog.h"
#include "create/release/release.h"
#include "create/release/split.h"
#include "create/release/trial.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

// Two sources, and their difference.
class Releases : public testing::Test {
 protected:
  void put(const fs::path& tree, const std::string& path, const std::string& text) {
    fs::create_directories((tree / path).parent_path());
    write_file(tree / path, text);
  }
  void both(const std::string& path, const std::string& before, const std::string& after) {
    put(before_.path(), path, before);
    put(after_.path(), path, after);
  }
  const std::vector<ReleaseFile>& compare() {
    Progress quiet(true, 0);
    return files_ = compare_releases(before_.path(), after_.path(), quiet);
  }
  size_t place(const std::string& path) const {
    for (size_t i = 0; i < files_.size(); ++i)
      if (files_[i].path == path) return i;
    ADD_FAILURE() << path << " is not in the difference";
    return 0;
  }
  std::set<std::string> paths(const FileSet& part) const {
    std::set<std::string> paths;
    for (size_t file : part) paths.insert(files_[file].path);
    return paths;
  }
  std::set<std::string> part_of(const std::string& path) {
    return paths(ReleaseParts(files_, before_.path()).part_of(place(path)));
  }

  TempDir before_, after_;
  std::vector<ReleaseFile> files_;
};

using Paths = std::set<std::string>;

TEST_F(Releases, EveryFileThatDiffersIsListed) {
  both("a.c", "int a;\n", "int b;\n");
  both("same.c", "int a;\n", "int a;\n");
  both("blob.bin", std::string("a\0b", 3), std::string("a\0c", 3));
  put(before_.path(), "gone.c", "int g;\n");
  put(after_.path(), "new/new.h", "int n;\n");
  put(after_.path(), "new/empty.h", "");
  put(after_.path(), ".git/config", "no source\n");
  fs::create_directory(after_.path() / "link");
  fs::create_symlink(before_.path() / "same.c", after_.path() / "linked.c");
  put(before_.path(), "linked.c", "int a;\n");
  // A folder that is the same one, and links to a source's own folders.
  put(before_.path(), "shared/in.c", "int i;\n");
  fs::create_directory_symlink(before_.path() / "shared", after_.path() / "shared");
  for (const fs::path& tree : {before_.path(), after_.path()})
    fs::create_directory_symlink(".", tree / "circle");
  compare();
  std::vector<std::string> all;
  for (const ReleaseFile& file : files_) all.push_back(file.path);
  EXPECT_EQ(all,
            (std::vector<std::string>{"a.c", "blob.bin", "gone.c", "new/empty.h", "new/new.h"}));
  EXPECT_EQ(files_[0].kind, ChangeKind::Modified);
  EXPECT_NE(files_[0].diff.find("-int a;\n+int b;\n"), std::string::npos);
  EXPECT_EQ(files_[1].diff, "");
  EXPECT_EQ(files_[1].why, "is not a text");
  EXPECT_EQ(files_[2].kind, ChangeKind::Deleted);
  EXPECT_EQ(files_[3].why, "is empty");
  EXPECT_EQ(files_[4].kind, ChangeKind::Added);
  EXPECT_EQ(files_[4].patch.files[0].new_path, "new/new.h");
}

// A name that the old source has nowhere brings its header along, and the unit that defines it; a
// known name brings nothing.
TEST_F(Releases, ANewNameNeedsWhatBringsIt) {
  both("include/net/a.h", "int old_one(void);\n",
       "int old_one(void);\nint brand_new(int);\nint known_name(void);\n");
  both("net/a.c", "int x;\n", "int x;\nint brand_new(int a)\n{\n\treturn a;\n}\n");
  both("net/user.c", "int u(void)\n{\n}\n", "int u(void)\n{\n\tbrand_new(1);\n}\n");
  both("net/other.c", "int o;\n", "int o = known_name();\n");
  both("net/comment.c", "int c;\n", "/* brand_new */\nint c;\n");
  put(before_.path(), "net/has.c", "int known_name(void) { return 1; }\n");
  put(after_.path(), "net/has.c", "int known_name(void) { return 1; }\n");
  compare();
  EXPECT_EQ(part_of("net/user.c"), (Paths{"include/net/a.h", "net/a.c", "net/user.c"}));
  EXPECT_EQ(part_of("include/net/a.h"), (Paths{"include/net/a.h", "net/a.c"}));
  EXPECT_EQ(part_of("net/other.c"), (Paths{"net/other.c"}));
  EXPECT_EQ(part_of("net/comment.c"), (Paths{"net/comment.c"}));
  const ReleaseParts parts(files_, before_.path());
  const auto shared = parts.shared_names(place("net/a.c"));
  ASSERT_EQ(shared.size(), 1u);
  EXPECT_EQ(paths(shared.at("brand_new")), (Paths{"include/net/a.h", "net/a.c", "net/user.c"}));
}

TEST_F(Releases, ANewFileNeedsItsMakefileAndIsNeededByItsReaders) {
  both("net/Makefile", "obj-y += a.o\n", "obj-y += a.o fresh.o\n");
  both("net/a.c", "int a;\n", "#include \"fresh.h\"\nint a;\n");
  put(after_.path(), "net/fresh.h", "#define F 1\n");
  put(after_.path(), "net/fresh.c", "int f;\n");
  compare();
  EXPECT_EQ(part_of("net/a.c"), (Paths{"net/a.c", "net/fresh.h"}));
  EXPECT_EQ(part_of("net/fresh.c"), (Paths{"net/Makefile", "net/fresh.c"}));
}

// What the compiler misses: files with errors first, then headers, then units.
TEST_F(Releases, WhatIsMissingIsFound) {
  both("include/p.h", "int proto(int a);\n", "int proto(int a, int b);\n");
  both("net/def.c", "int proto(int a) { return a; }\n", "int proto(int a, int b) { return a; }\n");
  both("net/use.c", "int u = proto(1);\n", "int u = proto(1, 2);\n");
  both("include/q.h", "int q;\n", "int member;\n");
  both("include/r.h", "int member;\nint r;\n", "int member;\nint r = member;\n");
  compare();
  const ReleaseParts parts(files_, before_.path());
  FileSet part = {place("net/use.c")};
  // A header that brings the name goes before one that only has it.
  EXPECT_EQ(paths(parts.missing(part, {"member", "int", "r"}, {})), (Paths{"include/q.h"}));
  FileSet more = parts.missing(part, {"proto", "int"}, {});
  EXPECT_EQ(paths(more), (Paths{"include/p.h"}));
  part.merge(more);
  EXPECT_EQ(paths(parts.missing(part, {"proto"}, {})), (Paths{"net/def.c"}));
  EXPECT_EQ(paths(parts.missing({place("include/p.h")}, {"proto"}, {"net/use.c"})),
            (Paths{"net/use.c"}));
  EXPECT_TRUE(parts.missing(part, {"int", "nothing"}, {"no/such.c"}).empty());
}

PartReport live(const std::string& path, std::vector<std::string> changed,
                std::vector<std::string> with = {}) {
  PartReport part;
  part.path = path;
  part.with = std::move(with);
  part.changed = std::move(changed);
  part.verdict = Verdict::Live;
  return part;
}

std::string text_of(const std::vector<PartGroup>& groups) {
  std::string text;
  for (const PartGroup& group : groups) {
    text += group.subsystem + ":";
    for (size_t part : group.parts) text += " " + std::to_string(part);
    text += "; ";
  }
  return text;
}

TEST(SplitParts, OfOneSubsystemAreTogether) {
  EXPECT_EQ(
      text_of(split_parts({live("net/sctp/a.c", {"net/sctp/a.o"}), live("mm/b.c", {"mm/b.o"}),
                           live("net/sctp/x/c.c", {"net/sctp/x/c.o"}), live("Makefile", {})})),
      "net/sctp: 0 2; mm: 1; top: 3; ");
}

// A file that both need, a unit that both change; and what joins two joins all of theirs.
TEST(SplitParts, WhatSharesAFileOrAUnitIsTogether) {
  std::vector<PartReport> parts = {live("fs/ext4/a.c", {"fs/ext4/a.o"}),
                                   live("mm/b.c", {"mm/b.o"}, {"include/linux/x.h"}),
                                   live("net/core/c.c", {"net/core/c.o"}, {"include/linux/x.h"}),
                                   live("include/net/d.h", {"fs/ext4/a.o", "net/core/e.o"}),
                                   live("net/core/f.c", {}),
                                   live("sound/core/g.c", {"sound/core/g.o"})};
  EXPECT_EQ(text_of(split_parts(parts)), "fs/ext4: 0 3; mm: 1 2 4; sound/core: 5; ");
  parts[3].changed.push_back("net/core/c.o");
  EXPECT_EQ(text_of(split_parts(parts)), "fs/ext4: 0 1 2 3 4; sound/core: 5; ");
  parts[3].verdict = Verdict::Reboot;
  EXPECT_EQ(text_of(split_parts(parts)), "fs/ext4: 0; mm: 1 2 4; sound/core: 5; ");
}

TEST(SplitParts, AnIdStaysShortAndItsOwn) {
  EXPECT_EQ(split_id("to_6_1", "net/SCTP-x", 3), "to_6_1_net_sctp_x");
  const std::string base(38, 'a');
  EXPECT_EQ(split_id(base, "net/sctp", 11), base.substr(0, 37) + "_12");
}

TEST(PathsWithErrors, AreThoseOfErrors) {
  EXPECT_EQ(paths_with_errors("net/a.o does not compile with the patch:\n"
                              "../net/a.c: In function 'f':\n../net/a.c:7:1: error: no 'x'\n"
                              "../include/b.h:1:2: warning: y\n../net/../net/c.c:1:2: error: z\n"),
            (Paths{"net/a.c", "net/c.c"}));
}

constexpr const char* Changelog =
    "linux (6.1.3-1) bookworm; urgency=medium\n\n  * later (CVE-2026-0009)\n\n -- A <a@b>  Mon\n\n"
    "linux (6.1.2-1) bookworm; urgency=medium\n\n  * New upstream stable update:\n    https://x\n"
    "    - [x86] net: bridge: fix the length in\n      br_fill_info() (CVE-2026-0001, "
    "CVE-2026-0002)\n"
    "    - io_uring/io-wq: stop\n\n -- A <a@b>  Mon\n\n"
    "linux (6.1.1-1) bookworm; urgency=medium\n\n  * older (CVE-2026-0008)\n\n -- A <a@b>  Mon\n";

TEST(ReadChangelog, TakesTheVersionsBetween) {
  const std::vector<ChangelogEntry> entries = read_changelog(Changelog, "6.1.1-1", "6.1.2-1");
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[1].subject, "[x86] net: bridge: fix the length in br_fill_info()");
  EXPECT_EQ(entries[1].cves, (std::vector<std::string>{"CVE-2026-0001", "CVE-2026-0002"}));
  EXPECT_EQ(entries[1].version, "6.1.2-1");
  EXPECT_EQ(read_changelog(Changelog, "6.1.1-1", "").size(), 4u);
  EXPECT_EQ(read_changelog(Changelog, "6.1.3-1", "").size(), 0u);
  for (const auto& [from, to] : {std::pair("6.0-1", "6.1.2-1"), std::pair("6.1.1-1", "6.2-1")})
    EXPECT_THROW(read_changelog(Changelog, from, to), Error);
}

TEST(MayBeAbout, LooksForFunctionsAndSubsystems) {
  const std::vector<ChangelogEntry> entries = read_changelog(Changelog, "6.1.1-1", "6.1.2-1");
  ReleaseFile file;
  file.path = "net/bridge/br_netlink.c";
  file.diff = "@@ -1 +1 @@ br_fill_info(struct x *y)\n-1\n+2\n";
  EXPECT_TRUE(may_be_about(entries[1], file));
  EXPECT_FALSE(may_be_about(entries[2], file));
  file.diff = "@@ -1 +1 @@ other(struct x *y)\n-1\n+2\n";
  EXPECT_FALSE(may_be_about(entries[1], file));
  file.path = "io_uring/io-wq.c";
  EXPECT_TRUE(may_be_about(entries[2], file));
}

TEST(DebianVersionOf, StandsInTheBanner) {
  EXPECT_EQ(debian_version_of("Linux version 6.1.0-57-cloud-amd64 (a@b) (gcc-12 (Debian 12.2.0-14) "
                              "12.2.0) # SMP PREEMPT_DYNAMIC Debian 6.1.192-3 (2026-11-26)"),
            "6.1.192-3");
  EXPECT_EQ(debian_version_of("Linux version 6.1.0"), "");
}

Refusal refusal_with(const std::string& advice) {
  Refusal refusal;
  refusal.advice = advice;
  return refusal;
}

// Only what the advice says to use, and only if every refusal can be taken on.
TEST(OptionsAdvised, AreOfEveryRefusal) {
  const Refusal init = refusal_with("put it into a hook; or, if x, use --leave-out-init");
  const Refusal type = refusal_with("or, if y, use --not-live='struct walk'");
  const Refusal data = refusal_with(
      "reads it anew each time, use --change-pointers=ops "
      "--change-values=ops");
  const Refusal busy = refusal_with("create the update with --allow-busy=kthreadd");
  const Refusal none = refusal_with("; --leave-out-init would not do, as new code needs it");
  EXPECT_EQ(options_advised({init, type, data, busy, init}),
            (std::vector<std::string>{"--leave-out-init", "--not-live='struct walk'",
                                      "--change-pointers=ops", "--change-values=ops",
                                      "--allow-busy=kthreadd"}));
  EXPECT_TRUE(options_advised({init, none}).empty());
  EXPECT_TRUE(options_advised({}).empty());
  Options options;
  for (const std::string& option : options_advised({init, type, data, busy}))
    add_option(option, options);
  EXPECT_TRUE(options.leave_out_init);
  EXPECT_EQ(options.not_live, (std::vector<std::string>{"struct walk"}));
  EXPECT_EQ(options.change_pointers, (std::vector<std::string>{"ops"}));
  EXPECT_EQ(options.change_values, (std::vector<std::string>{"ops"}));
  EXPECT_EQ(options.allow_busy, (std::vector<std::string>{"kthreadd"}));
}

TEST(IsWithin, KnowsFilesAndFolders) {
  EXPECT_TRUE(is_within("net/a.c", {}));
  EXPECT_TRUE(is_within("net/a.c", {"net/"}));
  EXPECT_TRUE(is_within("net/a.c", {"fs", "net/a.c"}));
  EXPECT_FALSE(is_within("network/a.c", {"net"}));
}

TEST(PartJson, ComesBackAsItWas) {
  PartReport part{"a.c", {"b.h"}, Verdict::Decision, "init_changed", "why",   {"--leave-out-init"},
                  {"f"}, {"f.o"}, {"note"},          {"CVE-2026-1"}, {"fix"}, 7,
                  1.5,   "r"};
  PartReport back;
  const std::string text = part_to_json(part).dump();
  ASSERT_TRUE(part_from_json(text, "a.c", back));
  EXPECT_EQ(part_to_json(back).dump(), text);
  EXPECT_FALSE(part_from_json(text, "b.c", back));
  EXPECT_FALSE(part_from_json(text.substr(0, 20), "a.c", back));
}

// Every part has its line, in each form.
TEST(Report, HasALineForEachPart) {
  ReleaseReport report;
  report.id = "r";
  report.kernel = "6.1";
  auto add = [&](const char* path, Verdict verdict, const char* code, const char* why) {
    PartReport& part = report.parts.emplace_back();
    part.path = path;
    part.verdict = verdict;
    part.code = code;
    part.why = why;
    return &part;
  };
  add("live.c", Verdict::Live, "", "")->replaced = {"f"};
  PartReport* ask = add("ask.c", Verdict::Decision, "init_changed", "a < b");
  ask->with = {"ask.h"};
  ask->options = {"--leave-out-init"};
  ask->cves = {"CVE-2026-1"};
  add("no.c", Verdict::Reboot, "type_changed", "t");
  add("same.c", Verdict::NoCode, "", "s");
  add("arm.c", Verdict::NotHere, "", "another");
  const std::string text = report_to_text(report), html = report_to_html(report);
  for (const char* line :
       {"\nlive now:\n  live.c: replaces f\n",
        "\nneeds a decision:\n  ask.c: with ask.h; can be live with --leave-out-init; "
        "init_changed: "
        "a < b; may be of CVE-2026-1\n",
        "\nneeds a reboot:\n  no.c: type_changed: t\n", "\nchanges no code:\n  same.c: s\n",
        "\nnot in this configuration:\n  arm.c: another\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "is not in\n" << text;
  EXPECT_NE(html.find("init_changed: a &lt; b"), std::string::npos) << html;
  for (const PartReport& part : report.parts)
    EXPECT_NE(html.find("<td>" + part.path + "</td>"), std::string::npos) << part.path;
  const auto json = report_to_json(report);
  EXPECT_EQ(json["parts"].size(), 5u);
  EXPECT_EQ(json["counts"]["live"], 1);
}

}  // namespace
}  // namespace ksplice
