// The debug information of an update's code: that a debugger finds the patched lines where the
// linker put the code, nothing of what is not in the update, and the new names of files.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <sstream>
#include <tuple>

#include "objdiff/object/elf_write.h"
#include "objdiff/object/line_program.h"
#include "objdiff/update/debug_file.h"
#include "tests/unit/update_samples.h"

namespace ksplice {
namespace {

using namespace test;

struct Tried {
  TempDir dir;
  DebugFile debug;
  Object module;

  std::string debug_path() const { return (dir.path() / "module.debug").string(); }
  std::string say(const std::vector<std::string>& argv) const {
    const CommandResult result = run_command(argv);
    EXPECT_EQ(result.status, 0) << result.output;
    return result.output;
  }
  // "FUNCTION FILE:LINE" of every byte of a function.
  std::set<std::string> lines_of(const std::string& name) const {
    const Symbol* symbol = module.find_symbol(name);
    if (symbol == nullptr) return {"no such symbol"};
    std::vector<std::string> argv = {"addr2line",  "-f", "-e",
                                     debug_path(), "-j", symbol->section->name};
    for (uint64_t at = 0; at < symbol->size; ++at)
      argv.push_back(fmt::format("{:#x}", symbol->value + at));
    std::istringstream output(say(argv));
    std::set<std::string> lines;
    for (std::string function, line; std::getline(output, function) && std::getline(output, line);)
      lines.insert(function + " " + line.substr(0, line.find(" (disc")));
    return lines;
  }
};

// Links the update object behind other code, as kbuild does.
void try_debug(const Made& made, Tried& tried) {
  ASSERT_TRUE(made.update.refusals.empty()) << made.update.refusals[0].message;
  write_file(tried.dir.path() / "update.o", write_object(made.update.object));
  write_file(tried.dir.path() / "init.c", std::string("int init(void) { return 1; }\n"));
  run(tried.dir, {"gcc", "-c", "-fno-asynchronous-unwind-tables", "init.c"});
  run(tried.dir, {"ld", "-r", "--build-id=sha1", "-o", "module.ko", "init.o", "update.o"});
  tried.module = read_object((tried.dir.path() / "module.ko").string());
  const DebugFile plain = make_debug_file(tried.module, made.update, {&made.post}, {});
  ASSERT_EQ(plain.sources.size(), 1u);
  const std::string path = plain.sources[0].first;
  EXPECT_EQ(plain.sources[0].second, path);
  tried.debug = make_debug_file(tried.module, made.update, {&made.post},
                                {{path.substr(0, path.rfind('/')), "/usr/src/patched"}});
  write_file(tried.dir.path() / "module.debug", tried.debug.file);
}

const char* const TwoLines = "\n  exported(\"new %d\\n\", x);\n  return helper(x)";

TEST(DebugFile, LeadsToThePatchedLines) {
  Tried tried;
  try_debug(make(replaced("exported(\"pre %d\\n\", x); return helper(x)", TwoLines)), tried);
  const std::set<std::string> lines = tried.lines_of("ksplice_abc_target");
  EXPECT_EQ(lines, (std::set<std::string>{"target /usr/src/patched/post.c:7",
                                          "target /usr/src/patched/post.c:8",
                                          "target /usr/src/patched/post.c:9"}));
  EXPECT_EQ(tried.debug.sources[0].second, "/usr/src/patched/post.c");
  const std::string text(tried.debug.file.begin(), tried.debug.file.end());
  const std::string build = tried.debug.sources[0].first;
  EXPECT_EQ(text.find(build.substr(0, build.rfind('/'))), std::string::npos);
}

// A debugger that asks for what is not in the update must not get address 0.
TEST(DebugFile, HasNothingOfTheRest) {
  Tried tried;
  try_debug(make(replaced("pre %d", "new %d")), tried);
  const std::string frames =
      tried.say({"readelf", "--debug-dump=frames", "--debug-dump=aranges", tried.debug_path()});
  size_t count = 0;
  for (size_t at = frames.find("FDE"); at != std::string::npos; at = frames.find("FDE", at + 1))
    ++count;
  EXPECT_EQ(count, 1u) << frames;
  const std::string info = tried.say({"readelf", "--debug-dump=info", tried.debug_path()});
  auto die = [&](const std::string& name) {  // up to the next one
    const size_t begin = info.find("): " + name + "\n");
    return begin == std::string::npos
               ? ""
               : info.substr(begin, info.find("Abbrev Number", begin) - begin);
  };
  EXPECT_NE(die("table").find("DW_OP_piece: 4294967296"), std::string::npos) << die("table");
  EXPECT_NE(info.find("DW_AT_high_pc     : 0\n"), std::string::npos);
  const std::string lines = tried.say({"readelf", "--debug-dump=decodedline", tried.debug_path()});
  EXPECT_EQ(lines.find("post.c                                  8 "), std::string::npos) << lines;
}

// Two functions in a section that the compiler was told by name: one of them is in the update.
TEST(DebugFile, SplitsASharedSection) {
  const std::string shared = "__attribute__((section(\".sched.text\"))) int ";
  std::string pre = Pre;
  for (const char* name : {"int target(int x) {", "int other(int x) {"})
    pre.replace(pre.find(name), 4, shared);
  std::string post = pre;
  post.replace(post.find("x + 1) * 2"), 10, "x + 1) * 3");
  Tried tried;
  try_debug(make(post, pre), tried);
  EXPECT_EQ(tried.lines_of("ksplice_abc_other"),
            (std::set<std::string>{"other /usr/src/patched/post.c:8"}));
  const std::string lines = tried.say({"readelf", "--debug-dump=decodedline", tried.debug_path()});
  EXPECT_EQ(lines.find("post.c                                  7 "), std::string::npos) << lines;
}

TEST(DebugFile, RefusesOlderLineTables) {
  Workshop shop;
  const std::string object = shop.compile("old.c", "int f(void) { return 1; }\n", {"-gdwarf-4"});
  try {
    read_line_tables(read_object(object));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "no_debug_info");
    EXPECT_NE(std::string(error.what()).find("DWARF 4"), std::string::npos) << error.what();
  }
}

// Sections of which an entry is shorter than what is read of it, or written to it.
TEST(DebugFile, RefusesDamagedSections) {
  Made made = make(replaced("pre %d", "new %d"));
  Tried tried;
  try_debug(made, tried);
  auto put = [](Section& section, uint64_t offset, uint32_t value) {
    std::memcpy(section.data.data() + offset, &value, 4);
  };
  auto is_refused = [&](const std::string& name, auto damage) {
    Section& section = *made.post.find_section(name);
    const std::vector<uint8_t> whole = section.data;
    damage(section);
    std::string code;
    try {
      make_debug_file(tried.module, made.update, {&made.post}, {});
    } catch (const Error& error) {
      code = error.code;
    }
    section.data = whole;
    return code == "no_debug_info";
  };
  for (uint32_t length : {4u, 8u, 11u, 19u})
    EXPECT_TRUE(is_refused(".debug_frame", [&](Section& section) {
      uint32_t head = 0;
      std::memcpy(&head, section.data.data(), 4);
      put(section, head + 4, length);
      section.data.resize(head + 8 + length);
    })) << length;
  for (uint32_t length : {4u, 8u, 11u})
    EXPECT_TRUE(is_refused(".debug_aranges", [&](Section& section) {
      put(section, 0, length);
      section.data.resize(length + 4);
    })) << length;
  EXPECT_TRUE(is_refused(".debug_line", [&](Section& section) { put(section, 8, 24); }));
  EXPECT_TRUE(is_refused(".debug_line", [&](Section& section) { section.data[12] = 0; }));
  // Two million folders, each of no fields.
  EXPECT_TRUE(is_refused(".debug_line", [&](Section& section) {
    const std::vector<uint8_t> none = {0, 0xff, 0xff, 0x7f, 0, 0};
    std::ranges::copy(none, section.data.begin() + 30);
  }));
  EXPECT_FALSE(is_refused(".debug_line", [&](Section&) {}));
}

// All rows come back as they were written.
TEST(LineProgram, IsReadAsItWasWritten) {
  Workshop shop;
  Object object =
      read_object(shop.compile("rows.c",
                               "int f(int x) {\n  for (int i = 0; i < x; i++)\n    x += "
                               "i * 3;\n  return x;\n}\n",
                               {"-g", "-O2"}));
  const std::vector<LineTable> tables = read_line_tables(object);
  ASSERT_EQ(tables.size(), 1u);
  ASSERT_GT(tables[0].rows.size(), 5u);
  const LineProgram program = write_line_program(tables[0], tables[0].rows);
  Section& lines = *object.find_section(".debug_line");
  lines.data.resize(tables[0].program);
  lines.data.insert(lines.data.end(), program.bytes.begin(), program.bytes.end());
  const uint32_t length = static_cast<uint32_t>(lines.data.size() - 4);
  std::memcpy(lines.data.data(), &length, 4);
  for (Relocation& relocation : lines.relocations)
    if (relocation.symbol->section->name == ".text")
      relocation.offset = tables[0].program + program.addresses[0].first;
  const std::vector<LineTable> again = read_line_tables(object);
  ASSERT_EQ(again.at(0).rows.size(), tables[0].rows.size());
  for (size_t i = 0; i < again[0].rows.size(); ++i) {
    const LineRow &a = tables[0].rows[i], &b = again[0].rows[i];
    EXPECT_EQ(std::tie(a.section, a.offset, a.end), std::tie(b.section, b.offset, b.end)) << i;
    if (!a.end) {
      EXPECT_EQ(std::tie(a.file, a.line, a.column, a.is_stmt, a.discriminator),
                std::tie(b.file, b.line, b.column, b.is_stmt, b.discriminator))
          << i;
    }
  }
}

}  // namespace
}  // namespace ksplice
