// From two small sources and a linked image to an update object.
#pragma once

#include <gtest/gtest.h>

#include "objdiff/base/file.h"
#include "objdiff/base/process.h"
#include "objdiff/image/run_image_parts.h"
#include "objdiff/object/atoms.h"
#include "objdiff/object/elf_read.h"
#include "objdiff/update/update_object.h"
#include "tests/unit/compile.h"

namespace ksplice::test {

// What a kernel unit is made of, small: a function with an ftrace site, statics, strings, rodata.
inline const char* const Pre = R"(
extern int exported(const char*, ...);
extern int hidden(int);
static int counter = 3;
static const int table[4] = {10, 20, 30, 40};
__attribute__((noinline)) static int helper(int x) { return hidden(x) + counter; }
int target(int x) { exported("pre %d\n", x); return helper(x) + table[x & 3]; }
int other(int x) { return helper(x + 1) * 2 + table[x & 1]; }
)";

inline const char* const Others = R"(
int exported(const char* s, ...) { return s[0]; }
int hidden(int x) { return x ^ 5; }
void __fentry__(void) {}
const char linux_banner[] = "Linux version 6.1.0-test (root@host) (gcc 12) #1 SMP";
)";

struct Made {
  Object pre, post;
  RunImage image;
  ObjectDiff diff;
  MatchResult match;
  UpdateObject update;
};

inline void run(const TempDir& dir, const std::vector<std::string>& argv) {
  CommandResult result = run_command(argv, {.directory = dir.path(), .env = {}, .input = ""});
  ASSERT_EQ(result.status, 0) << result.output;
}

inline void compile(const TempDir& dir, const std::string& name, const std::string& source,
                    bool split) {
  write_file(dir.path() / (name + ".c"), source);
  std::vector<std::string> argv = {"gcc", "-c", name + ".c"};
  argv.insert(argv.end(), TracedFlags.begin(), TracedFlags.end());
  argv.push_back("-g");
  if (split) argv.insert(argv.end(), {"-ffunction-sections", "-fdata-sections"});
  run(dir, argv);
}

// What runs where it is not pre_source, and what another unit of the kernel has.
struct Running {
  std::string unit, neighbour;
};

inline Made make(const std::string& post_source, const std::string& pre_source = Pre,
                 const Running& running = {}) {
  TempDir dir;
  compile(dir, "pre", pre_source, true);
  compile(dir, "post", post_source, true);
  compile(dir, "unit", running.unit.empty() ? pre_source : running.unit, false);
  compile(dir, "neighbour", running.neighbour, false);
  compile(dir, "others", Others, false);
  run(dir, {"ld", "-Ttext=0xffffffff81000000", "--defsym=_text=0xffffffff81000000", "-e", "target",
            "-o", "vmlinux", "unit.o", "neighbour.o", "others.o", KSPLICE_TEST_TABLES});
  Made made;
  made.pre = read_object((dir.path() / "pre.o").string());
  made.post = read_object((dir.path() / "post.o").string());
  normalise(made.pre);
  normalise(made.post);
  made.image = read_run_image((dir.path() / "vmlinux").string());
  for (const RunSection& section : made.image.sections)
    if (section.name.starts_with(".init")) {  // one of them, in these tests
      made.image.symbols.push_back({"__init_begin", section.addr, 0, 'T'});
      made.image.symbols.push_back({"__init_end", section.addr + section.size, 0, 'T'});
    }
  index_symbols(made.image);
  made.image.exports.insert("exported");
  made.image.exports.insert("__fentry__");
  made.diff = diff_objects(made.pre, made.post);
  for (DataDiff& data : made.diff.data) data.in_place = !data.places.empty();
  made.match = match_run_pre(made.pre, made.image);
  Unit unit{"unit.o", &made.pre, &made.post, &made.diff, &made.match};
  made.update = make_update_object({unit}, made.image, made.image, {"abc", "text", 1});
  return made;
}

inline std::string replaced(const std::string& from, const std::string& to) {
  std::string text = Pre;
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace ksplice::test
