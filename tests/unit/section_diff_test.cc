#include "objdiff/diff/section_diff.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "objdiff/base/codes.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"
#include "objdiff/object/elf_read.h"

namespace ksplice {
namespace {

const std::filesystem::path Pairs = KSPLICE_TEST_DATA "/diff-pairs";

// The bytes of one of the pairs, compiled.
std::vector<uint8_t> compile(const std::string& name, bool post, bool debug = false) {
  const TempDir directory;
  const std::string object = directory.path() / "a.o";
  std::vector<std::string> command = {"gcc",
                                      "-c",
                                      (Pairs / name).string(),
                                      "-o",
                                      object,
                                      "-O2",
                                      "-fno-PIE",
                                      "-mcmodel=kernel",
                                      "-mno-sse",
                                      "-pg",
                                      "-mfentry",
                                      "-mrecord-mcount",
                                      "-fcf-protection=none",
                                      "-w",
                                      "-fno-asynchronous-unwind-tables",
                                      "-ffunction-sections",
                                      "-fdata-sections"};
  if (post) command.push_back("-DPOST");
  if (debug) command.push_back("-g");
  const CommandResult result = run_command(command);
  if (result.status != 0) throw Error("failed", result.output);
  return read_file(object);
}

Object object_of(const std::string& name, bool post, bool debug = false) {
  return read_object(compile(name, post, debug), post ? "post.o" : "pre.o");
}

TEST(SectionDiff, CorrelatesFunctionsDataAndUndefinedSymbols) {
  const Object pre = object_of("static-local-renumbered.c", false);
  const Object post = object_of("static-local-renumbered.c", true);
  const ObjectDiff diff = diff_objects(pre, post);
  for (const char* name : {"f", "g"})
    EXPECT_EQ(diff.correlation.at(post.find_symbol(name)), pre.find_symbol(name));
  EXPECT_FALSE(diff.correlation.contains(post.find_symbol("e")));
  size_t counters = 0;
  for (const DataDiff& data : diff.data)
    if (data.name.starts_with("count") && data.pre != nullptr) {
      EXPECT_EQ(diff.correlation.at(data.post), data.pre);
      ++counters;
    }
  EXPECT_EQ(counters, 2u);
}

TEST(SectionDiff, ProposesTheCallersOfAFunctionThatCannotBeRedirected) {
  const ObjectDiff diff = diff_objects(object_of("noinstr-static-changed.c", false),
                                       object_of("noinstr-static-changed.c", true));
  ASSERT_EQ(diff.refusals.size(), 1u);
  EXPECT_EQ(diff.refusals[0].code, "no_ftrace_site");
  EXPECT_NE(diff.refusals[0].advice.find("g, h"), std::string::npos) << diff.refusals[0].advice;
}

// One of another header is it only if the patch took it from there.
TEST(SectionDiff, TakesATypeForAnotherOnlyWhereThePatchCanHaveRemovedIt) {
  const Object pre = object_of("type-replaced.c", false, true);
  const Object post = object_of("type-replaced.c", true, true);
  const auto refusals = [&](const std::string& patched) {
    return diff_objects(pre, post, nullptr, {{}, {patched}}).refusals;
  };
  EXPECT_TRUE(refusals("young.h").empty());
  ASSERT_EQ(refusals("include/old.h").size(), 0u);
  ASSERT_EQ(refusals("old.h").size(), 1u);
  EXPECT_EQ(refusals("old.h")[0].symbol, "struct young");
  EXPECT_EQ(refusals("old.h")[0].option, "--not-live");
}

TEST(SectionDiff, ProposesToLeaveWhatIsOnlyGone) {
  auto advice = [](const std::string& name) {
    const ObjectDiff diff = diff_objects(object_of(name, false, true), object_of(name, true, true));
    return diff.refusals.empty() ? "" : diff.refusals[0].advice;
  };
  EXPECT_NE(advice("type-member-removed.c").find("where it was, unused"), std::string::npos)
      << advice("type-member-removed.c");
  EXPECT_NE(advice("type-member-added.c").find("shadow variable"), std::string::npos);
}

TEST(SectionDiff, SaysWhereInTheSourceADifferenceIs) {
  const ObjectDiff diff = diff_objects(object_of("code-changed.c", false, true),
                                       object_of("code-changed.c", true, true));
  const auto json = nlohmann::json::parse(diff_to_json(diff, true));
  ASSERT_EQ(json["functions"].size(), 1u);
  EXPECT_EQ(json["identical"], false);
  EXPECT_EQ(json["functions"][0]["name"], "f");
  EXPECT_EQ(json["functions"][0]["status"], "changed");
  EXPECT_EQ(json["functions"][0]["section"], ".text.f");
  const auto& reason = json["functions"][0]["reasons"][0];
  EXPECT_EQ(reason["kind"], "code");
  EXPECT_TRUE(std::regex_search(reason["source"].get<std::string>(),
                                std::regex("code-changed\\.c:[0-9]+$")))
      << reason["source"];
}

// In f of pre, a's counter is count.1; of post, count.0.
TEST(SectionDiff, KeepsTheStateOfStaticVariablesThatChangePlaces) {
  const Object pre = object_of("static-local-swapped.c", false, true);
  const Object post = object_of("static-local-swapped.c", true, true);
  const ObjectDiff diff = diff_objects(pre, post);
  for (const auto& [now, was] :
       std::map<std::string, std::string>{{"count.0", "count.1"}, {"count.1", "count.0"}}) {
    const auto found = diff.correlation.find(post.find_symbol(now));
    ASSERT_NE(found, diff.correlation.end());
    EXPECT_EQ(found->second->name, was);
  }
}

TEST(SectionDiff, ExplainsByWhatChangedNotByTheJumpOverIt) {
  const ObjectDiff diff = diff_objects(object_of("explain-jump-over.c", false, true),
                                       object_of("explain-jump-over.c", true, true));
  const auto json = nlohmann::json::parse(diff_to_json(diff, true));
  const auto& reason = json["functions"][0]["reasons"][0];
  EXPECT_EQ(reason["detail"], "movl   $2, %edi");
  EXPECT_EQ(reason["before"], "movl   $3, %edi");
  EXPECT_TRUE(reason["source"].get<std::string>().ends_with("explain-jump-over.c:14")) << reason;
}

// Two units that differ by a condition, with an export.
ObjectDiff diff_with_checksums(const ChecksumPair& checksums, bool debug) {
  return diff_objects(object_of("export-same.c", false, debug),
                      object_of("export-same.c", true, debug), nullptr, {checksums, {}});
}

TEST(SectionDiff, AnotherChecksumOfAnExportIsRefused) {
  EXPECT_TRUE(diff_with_checksums({{{"f", 1}}, {{"f", 1}}}, false).refusals.empty());
  EXPECT_TRUE(diff_with_checksums({{{"g", 1}}, {{"g", 2}}}, false).refusals.empty());
  const ObjectDiff other = diff_with_checksums({{{"f", 1}}, {{"f", 2}}}, false);
  ASSERT_EQ(other.refusals.size(), 1u);
  EXPECT_EQ(other.refusals[0].code, "export_changed");
  EXPECT_NE(other.refusals[0].message.find("built or loaded later"), std::string::npos);
}

// With debug information that shows the same types, a header only shows more of them.
TEST(SectionDiff, AnotherChecksumOfTheSameTypesIsANote) {
  const ObjectDiff other = diff_with_checksums({{{"f", 1}}, {{"f", 2}}}, true);
  EXPECT_TRUE(other.refusals.empty());
  ASSERT_EQ(other.notes.size(), 1u);
  EXPECT_EQ(other.notes[0].rfind("the CRC of export f would be", 0), 0u);
}

TEST(SectionDiff, UsesOnlyListedCodes) {
  std::set<std::string> known;
  for (const Code& code : Codes) EXPECT_TRUE(known.insert(std::string(code.word)).second);
  size_t refusals = 0;
  for (const auto& entry : std::filesystem::directory_iterator(Pairs)) {
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line) && line.starts_with("//");) {
      const std::string head = "// expect: refused ";
      if (!line.starts_with(head)) continue;
      const std::string code = line.substr(head.size(), line.find(' ', head.size()) - head.size());
      EXPECT_TRUE(known.contains(code)) << entry.path() << ": " << code;
      ++refusals;
    }
  }
  EXPECT_GT(refusals, 30u);
}

// An object that ends early is an error or a smaller object; never a crash.
TEST(SectionDiff, SurvivesTruncationAtEveryPlace) {
  for (const char* name : {"alternative-call.c", "cold-change-sub.c", "line-descriptor.c"}) {
    const std::vector<uint8_t> whole = compile(name, true, true);
    const Object pre = object_of(name, false, true);
    for (size_t size = 0; size < whole.size(); size += 64) {
      const std::vector<uint8_t> cut(whole.begin(), whole.begin() + size);
      EXPECT_THROW(diff_objects(pre, read_object(cut, "cut.o")), Error) << name << " at " << size;
    }
  }
}

TEST(SectionDiff, SurvivesEveryByteOfTheHeadersAndTablesSetToExtremes) {
  const std::vector<uint8_t> whole = compile("jump-label-key.c", true);
  const Object pre = object_of("jump-label-key.c", false);
  size_t read = 0;
  for (size_t at = 0; at < whole.size(); at += 3) {
    std::vector<uint8_t> bad = whole;
    bad[at] = bad[at] == 0xff ? 0x7f : 0xff;
    try {
      const ObjectDiff diff = diff_objects(pre, read_object(bad, "bad.o"));
      EXPECT_FALSE(diff_to_json(diff, true).empty());
      ++read;
    } catch (const Error&) {
    }
  }
  EXPECT_GT(read, 0u);
}

}  // namespace
}  // namespace ksplice
