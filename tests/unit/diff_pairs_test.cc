// Compiles every file of tests/diff-pairs without and with -DPOST, and compares the whole result of
// the differ with the "expect" lines at its head. One that says MOVED is compiled a third time,
// with -DMOVED: the original with the line numbers of post; its lines must be a difference without
// that.
//
//   // cc: gcc clang            compilers (default: both)
//   // flags: -g                added to the kernel-like ones
//   // expect: changed function f code        status, kind, name without numbers, reasons
//   // expect: new data x
//   // expect: refused data_changed x         code and symbol
//   // expect: note "a=1" in .modinfo         its first three words
//
// No expect line means no difference.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <tuple>

#include "objdiff/base/file.h"
#include "objdiff/base/process.h"
#include "objdiff/diff/section_diff.h"
#include "objdiff/object/atoms.h"
#include "objdiff/object/elf_read.h"

namespace ksplice {
namespace {

namespace fs = std::filesystem;

struct Pair {
  fs::path source;
  std::string compiler;
  std::vector<std::string> flags;
  std::vector<std::string> expected;
  bool has_moved = false;
};

enum class Variant { Pre, Moved, Post };

// What gtest prints for a failing parameter.
void PrintTo(const Pair& pair, std::ostream* out) {
  *out << pair.source.filename() << " by " << pair.compiler;
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> result;
  for (std::string word; stream >> word;) result.push_back(word);
  return result;
}

std::vector<Pair> read_pairs() {
  std::vector<Pair> pairs;
  for (const auto& entry : fs::directory_iterator(KSPLICE_TEST_DATA "/diff-pairs")) {
    const std::string extension = entry.path().extension();
    if (extension != ".c" && extension != ".S") continue;
    Pair pair;
    pair.source = entry.path();
    std::vector<std::string> compilers = {"gcc", "clang"};
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line) && line.starts_with("//");) {
      if (line.starts_with("// cc: ")) compilers = words(line.substr(7));
      if (line.starts_with("// flags: ")) pair.flags = words(line.substr(10));
      if (line.starts_with("// expect: ")) pair.expected.push_back(line.substr(11));
    }
    std::sort(pair.expected.begin(), pair.expected.end());
    pair.has_moved = read_text(pair.source).find("MOVED") != std::string::npos;
    for (const std::string& compiler : compilers) {
      pair.compiler = compiler;
      pairs.push_back(pair);
    }
  }
  std::sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) {
    return std::tie(a.source, a.compiler) < std::tie(b.source, b.compiler);
  });
  return pairs;
}

std::vector<uint8_t> compile(const Pair& pair, Variant variant) {
  const TempDir directory;
  const fs::path object = directory.path() / "object.o";
  std::vector<std::string> command = {pair.compiler,
                                      "-c",
                                      pair.source.string(),
                                      "-o",
                                      object.string(),
                                      "-I",
                                      pair.source.parent_path().string(),
                                      "-O2",
                                      "-std=gnu11",
                                      "-fno-strict-aliasing",
                                      "-fno-common",
                                      "-fno-PIE",
                                      "-mcmodel=kernel",
                                      "-mno-red-zone",
                                      "-mno-sse",
                                      "-fno-asynchronous-unwind-tables",
                                      "-pg",
                                      "-mfentry",
                                      "-fcf-protection=none",
                                      "-ffunction-sections",
                                      "-fdata-sections",
                                      "-fno-jump-tables",
                                      "-fno-stack-protector",
                                      "-falign-functions=16",
                                      "-w"};
  if (pair.compiler == "gcc") command.push_back("-mrecord-mcount");
  if (pair.source.extension() == ".S")
    std::erase_if(command, [](const std::string& flag) {
      return flag == "-pg" || flag == "-mfentry" || flag == "-mrecord-mcount";
    });
  command.insert(command.end(), pair.flags.begin(), pair.flags.end());
  if (variant == Variant::Post) command.push_back("-DPOST");
  if (variant == Variant::Moved) command.push_back("-DMOVED");
  const CommandResult result = run_command(command);
  if (result.status != 0) throw Error("failed", result.output);
  return read_file(object);
}

// Each is compiled once.
Object object_of(const Pair& pair, Variant variant) {
  static std::map<std::tuple<fs::path, std::string, Variant>, std::vector<uint8_t>> compiled;
  if (!pair.has_moved && variant == Variant::Moved) variant = Variant::Pre;
  std::vector<uint8_t>& file = compiled[{pair.source, pair.compiler, variant}];
  if (file.empty()) file = compile(pair, variant);
  return read_object(file, "object.o");
}

// "CSWTCH" for "CSWTCH.12": the numbers are the compiler's.
std::string shown(const std::string& name) { return plain_name(name); }

std::vector<std::string> summary(const ObjectDiff& diff) {
  static const char* const status[] = {"same", "changed", "new", "removed"};
  std::vector<std::string> lines;
  for (const FunctionDiff& function : diff.functions) {
    if (function.status == DiffStatus::Same) continue;
    std::string line = fmt::format("{} function {}", status[static_cast<int>(function.status)],
                                   shown(function.name));
    for (const Reason& reason : function.reasons)
      if (reason.kind != "new") line += " " + reason.kind;
    lines.push_back(line);
  }
  for (const DataDiff& data : diff.data)
    if (data.status != DiffStatus::Same)
      lines.push_back(
          fmt::format("{} data {}", status[static_cast<int>(data.status)], shown(data.name)));
  for (const Refusal& refusal : diff.refusals) {
    lines.push_back(fmt::format("refused {}{}{}", refusal.code, refusal.symbol.empty() ? "" : " ",
                                shown(refusal.symbol)));
    EXPECT_NE(refusal.message, "");
    EXPECT_NE(refusal.advice, "");
    EXPECT_NE(refusal.object, "");
  }
  EXPECT_EQ(diff.identical, lines.empty());
  for (const std::string& note : diff.notes) {
    const std::vector<std::string> text = words(note);
    EXPECT_GT(text.size(), 3u);
    lines.push_back(fmt::format("note {} {} {}", text[0], text[1], text[2]));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

// Every symbol that diff names is one of pre or of post, not of the moved object.
void expect_of(const ObjectDiff& diff, const Object& pre, const Object& post) {
  auto has = [](const Object& object, const Symbol* wanted) {
    return wanted == nullptr ||
           std::any_of(object.symbols.begin(), object.symbols.end(),
                       [&](const auto& symbol) { return symbol.get() == wanted; });
  };
  for (const FunctionDiff& function : diff.functions)
    EXPECT_TRUE(has(pre, function.pre) && has(post, function.post)) << function.name;
  for (const DataDiff& data : diff.data)
    EXPECT_TRUE(has(pre, data.pre) && has(post, data.post)) << data.name;
  for (const auto& [later, earlier] : diff.correlation)
    EXPECT_TRUE(earlier != nullptr && has(pre, earlier) && has(post, later)) << later->name;
}

// The same object with sections and symbols in the opposite order.
void reorder(Object& object) {
  std::reverse(object.sections.begin(), object.sections.end());
  std::reverse(object.symbols.begin(), object.symbols.end());
}

class DiffPair : public testing::TestWithParam<Pair> {};

TEST_P(DiffPair, GivesExactlyTheExpectedResult) {
  const Object pre = object_of(GetParam(), Variant::Pre);
  const Object post = object_of(GetParam(), Variant::Post);
  const Object moved = object_of(GetParam(), Variant::Moved);
  const ObjectDiff diff = diff_objects(pre, post, &moved);
  EXPECT_EQ(summary(diff), GetParam().expected) << diff_to_text(diff, true);
  EXPECT_EQ(diff_to_json(diff, true), diff_to_json(diff_objects(pre, post, &moved), true));
  expect_of(diff, pre, post);
  if (GetParam().has_moved)
    EXPECT_FALSE(diff_objects(pre, post).identical);
  else
    EXPECT_EQ(summary(diff_objects(pre, post)), GetParam().expected);
  EXPECT_TRUE(diff_objects(pre, pre).identical);
  EXPECT_TRUE(diff_objects(post, post).identical);
}

TEST_P(DiffPair, DoesNotDependOnTheOrderOfSectionsAndSymbols) {
  Object pre = object_of(GetParam(), Variant::Pre);
  Object post = object_of(GetParam(), Variant::Post);
  Object moved = object_of(GetParam(), Variant::Moved);
  reorder(post);
  EXPECT_EQ(summary(diff_objects(pre, post, &moved)), GetParam().expected);
  reorder(moved);
  EXPECT_EQ(summary(diff_objects(pre, post, &moved)), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(All, DiffPair, testing::ValuesIn(read_pairs()), [](const auto& info) {
  std::string name = info.param.source.stem().string() + "_" + info.param.compiler;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace ksplice
