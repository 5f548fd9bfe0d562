// Names that lead elsewhere with the patch: units that are fine by themselves, and a target in
// which something that stays is linked to what had the name before.
#include "objdiff/update/global_names.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "objdiff/base/file.h"
#include "tests/unit/update_samples.h"

namespace ksplice {
namespace {

using test::compile;
using test::run;

struct Source {
  std::string pre, post;  // "" is no unit
};

// A kernel of these sources and of stays, which the patch does not touch; then "CODE SYMBOL" of all
// that is refused. apart: each source is of a module of its own, as far as state is judged.
std::string refused(const std::map<std::string, Source>& sources, const std::string& stays = "",
                    const std::set<std::string>& exports = {}, bool module = false,
                    bool apart = false) {
  const TempDir dir;
  std::vector<std::string> link = {
      "ld",      "-Ttext=0xffffffff81000000", "--defsym=_text=0xffffffff81000000", "-e", "0", "-o",
      "vmlinux", KSPLICE_TEST_TABLES};
  for (const auto& [name, source] : sources) {
    compile(dir, name + "-pre", source.pre, true);
    compile(dir, name + "-post", source.post, true);
    compile(dir, name, source.pre, false);
    link.push_back(name + ".o");
  }
  compile(dir, "stays", stays + test::Others, false);
  link.push_back("stays.o");
  run(dir, link);
  RunImage image = read_run_image((dir.path() / "vmlinux").string());
  RunImage vmlinux;
  vmlinux.target = "vmlinux";
  vmlinux.exports = exports;
  if (module) image.target = "module";
  struct Made {
    Object pre, post;
    ObjectDiff diff;
    MatchResult match;
  };
  std::map<std::string, Made> made;
  std::vector<Unit> units;
  for (const auto& [name, source] : sources) {
    Made& each = made[name];
    each.pre = read_object((dir.path() / (name + "-pre.o")).string());
    each.post = read_object((dir.path() / (name + "-post.o")).string());
    normalise(each.pre);
    normalise(each.post);
    each.diff = diff_objects(each.pre, each.post);
    each.match = match_run_pre(each.pre, image);
    units.push_back({name + ".o", &each.pre, &each.post, &each.diff, &each.match});
  }
  std::string text;
  std::vector<Refusal> refusals = refuse_moved_names(units, image, vmlinux);
  std::map<std::string, std::vector<Unit>> targets;
  for (const Unit& unit : units) targets[apart ? unit.name : image.target].push_back(unit);
  for (Refusal& refusal : refuse_moved_state(targets)) refusals.push_back(std::move(refusal));
  for (const Refusal& refusal : refusals) {
    text += refusal.code + " " + refusal.symbol + "\n";
    EXPECT_NE(refusal.message, "");
    EXPECT_NE(refusal.advice, "");
  }
  return text;
}

const char* const Declared = "int hidden(int);\n#define NOINLINE __attribute__((noinline))\n";
const std::string Moved = "NOINLINE int moved(int x) { return hidden(x) * 3; }\n";
const std::string User = "int moved(int); int user(int x) { return moved(x) + 1; }\n";

std::string with(const std::string& text) { return Declared + text; }

TEST(GlobalNames, FunctionThatMovesToAnotherUnitIsRefused) {
  const Source from{with(Moved + "int a(int x) { return hidden(x) + 1; }\n"),
                    with("int a(int x) { return hidden(x) + 2; }\n")};
  const Source to{with("int b(int x) { return hidden(x) + 3; }\n"),
                  with(Moved + "int b(int x) { return moved(x) + 4; }\n")};
  EXPECT_EQ(refused({{"from", from}, {"to", to}}, with(User)), "global_moved moved\n");
  EXPECT_EQ(refused({{"from", from}, {"to", to}}), "global_moved moved\n");
  const Source user{with("int moved(int); int c(int x) { return moved(x) + 5; }\n"),
                    with("int moved(int); int c(int x) { return moved(x) + 6; }\n")};
  EXPECT_EQ(refused({{"from", from}, {"to", to}, {"another", user}}), "global_moved moved\n");
}

TEST(GlobalNames, DefinitionOverAWeakOneOfTheKernelIsRefused) {
  const Source to{with("int b(int x) { return hidden(x) + 3; }\n"),
                  with(Moved + "int b(int x) { return hidden(x) + 4; }\n")};
  EXPECT_EQ(refused({{"to", to}}, with("__attribute__((weak)) " + Moved + User)),
            "global_moved moved\n");
  // An alias is a definition, too, and no difference of the code.
  const std::string b = "int b(int x) { return hidden(x) + 3; }\n";
  const Source alias{with(b), with(b + "int moved(int) __attribute__((alias(\"b\")));\n")};
  EXPECT_EQ(refused({{"to", alias}}, with("__attribute__((weak)) " + Moved + User)),
            "global_moved moved\n");
}

TEST(GlobalNames, NameThatAModuleGetsFromTheKernelIsRefused) {
  const Source to{with("int b(int x) { return hidden(x) + 3; }\n"),
                  with(Moved + "int b(int x) { return hidden(x) + 4; }\n")};
  EXPECT_EQ(refused({{"to", to}}, "", {"moved"}, true), "global_moved moved\n");
  EXPECT_EQ(refused({{"to", to}}, "", {"moved"}, false), "");
}

TEST(GlobalNames, NameThatNobodyHadIsNew) {
  const Source to{with("int b(int x) { return hidden(x) + 3; }\n"),
                  with(Moved + "int b(int x) { return moved(x) + 4; }\n")};
  EXPECT_EQ(refused({{"to", to}}), "");
  EXPECT_EQ(refused({{"to", to}}, with("static " + Moved + "int (*p)(int) = moved;\n")), "");
}

// Without the strong one, the weak one of another unit counts: it is not in the image at all.
TEST(GlobalNames, FunctionThatUncoversAWeakOneIsRefused) {
  const Source gone{with("int b(int x) { return hidden(x) + 3; }\n" + Moved),
                    with("int b(int x) { return hidden(x) + 4; }\n")};
  const std::string weak = "__attribute__((weak)) int moved(int x) { return x; }\n";
  EXPECT_EQ(refused({{"gone", gone}}, with(User)), "global_moved moved\n");
  // Used as a pointer, by code and by data.
  EXPECT_EQ(refused({{"gone", gone}}, with("int moved(int); void *user(void) { return moved; }\n")),
            "global_moved moved\n");
  EXPECT_EQ(refused({{"gone", gone}}, with("int moved(int); int (*user)(int) = moved;\n")),
            "global_moved moved\n");
  // By the patched source itself, and by a unit that is its own user now.
  const Source user{with("int moved(int); int c(int x) { return hidden(x) + moved(5); }\n"),
                    with("int moved(int); int c(int x) { return hidden(x) + moved(6); }\n")};
  EXPECT_EQ(refused({{"gone", gone}, {"user", user}}), "global_moved moved\n");
  const Source own{with(Moved + "int c(int x) { return moved(x) + 5; }\n"),
                   with("static " + Moved + "int c(int x) { return moved(x) + 6; }\n")};
  EXPECT_EQ(refused({{"own", own}}, with(User)), "global_moved moved\n");
  EXPECT_EQ(refused({{"own", own}}), "");
}

// As fixes do it: what is gone was used by what is replaced.
TEST(GlobalNames, FunctionThatNobodyNeedsAnyMoreMayGo) {
  const Source gone{
      with("int moved(int); int b(int x) { return moved(x) + 3; }\n" + Moved +
           "NOINLINE static int old(int x) { return moved(x) - 3; }\n"
           "int c(int x) { return old(x); }\n"),
      with("int b(int x) { return hidden(x) + 4; }\nint c(int x) { return hidden(x); }\n")};
  const Source user{with("int moved(int); int d(int x) { return hidden(x) + moved(5); }\n"),
                    with("int d(int x) { return hidden(x) + 6; }\n")};
  EXPECT_EQ(refused({{"gone", gone}, {"user", user}}), "");
  EXPECT_EQ(refused({{"gone", gone}}), "");
}

// The same of a variable, by any access to any byte of it.
TEST(GlobalNames, VariableThatUncoversAWeakOneIsRefused) {
  const std::string variable = "struct {long a, b[4];} state = {3, {4}};\n";
  const Source gone{with(variable + "int b(int x) { return hidden(x) + state.a++; }\n"),
                    with("int b(int x) { return hidden(x) + 4; }\n")};
  const std::string declared = "extern struct {long a, b[4];} state;\n";
  for (const std::string user :
       {"long user(void) { return state.b[3]; }", "void user(void) { state.b[1] = 500; }",
        "void user(void) { state.a |= 1; }", "void user(short x) { *(short *)&state.b[2] = 7; }",
        "long user(int i) { return state.b[i]; }", "void *user(void) { return &state; }",
        "long *user = &state.b[2];", "void user(long x) { if (state.b[2] == 3) state.a = x; }"})
    EXPECT_EQ(refused({{"gone", gone}}, with(declared + user + "\n")), "global_moved state\n")
        << user;
  EXPECT_EQ(refused({{"gone", gone}}), "");
  // The neighbours of it are others' affair.
  EXPECT_EQ(refused({{"gone", gone}}, with("long before = 1, user[9] = {1}, behind = 2;\n"
                                           "long f(void) { return before + user[8] + behind; }\n")),
            "");
  const Source own{with(variable + "int b(int x) { return hidden(x) + state.a++; }\n"),
                   with("static " + variable + "int b(int x) { return hidden(x) + ++state.a; }\n")};
  EXPECT_EQ(refused({{"own", own}}), "");
  EXPECT_EQ(refused({{"own", own}}, with(declared + "long user(void) { return state.b[3]; }\n")),
            "global_moved state\n");
}

TEST(GlobalNames, StateOfAFunctionThatMovesIsRefused) {
  const std::string f = "static NOINLINE int f(int x) { static int count; return count += x; }\n";
  const Source from{with(f + "int a(int x) { return hidden(x) + f(x); }\n"),
                    with("int a(int x) { return hidden(x) + 1; }\n")};
  const Source to{with("int b(int x) { return hidden(x) + 3; }\n"),
                  with(f + "int b(int x) { return hidden(x) + f(x); }\n")};
  const std::string text = refused({{"from", from}, {"to", to}});
  EXPECT_TRUE(text.starts_with("state_lost count.")) << text;
  // Of another function it is another.
  const std::string g = "static NOINLINE int g(int x) { static int count; return count += x; }\n";
  const Source other{to.pre, with(g + "int b(int x) { return hidden(x) + g(x); }\n")};
  EXPECT_EQ(refused({{"from", from}, {"to", other}}), "");
}

TEST(GlobalNames, VariableThatMovesIsRefused) {
  auto units = [](const std::string& type) {
    const Source from{
        with(type + " int state = 3;\nint a(int x) { return hidden(x) + state++; }\n"),
        with("int a(int x) { return hidden(x) + 1; }\n")};
    const Source to{with("int b(int x) { return hidden(x) + 3; }\n"),
                    with(type + " int state = 3;\nint b(int x) { return hidden(x) + state++; }\n")};
    return std::map<std::string, Source>{{"from", from}, {"to", to}};
  };
  EXPECT_EQ(refused(units("")), "global_moved state\n");
  EXPECT_EQ(refused(units("static")), "state_lost state\n");
  EXPECT_EQ(refused(units("static"), "", {}, false, true), "state_lost state\n");
}

// The same function uses it, or one that moved with it does.
TEST(GlobalNames, VariableThatMovesUnderAnotherNameIsRefused) {
  const Source from{with("static int count = 3;\nint a(int x) { return hidden(x) + count++; }\n"),
                    with("extern long counted;\nint a(int x) { return hidden(x) + counted++; }\n")};
  const std::string b = "int b(int x) { return hidden(x) + 3; }\n";
  EXPECT_EQ(refused({{"from", from}, {"to", {with(b), with("long counted = 3;\n" + b)}}}),
            "state_lost counted\n");
  const std::string user = "static NOINLINE int f(int x) { return ";
  const Source source{with("static int count = 3;\n" + user + "count += x; }\n" +
                           "int a(int x) { return hidden(x) + f(x); }\n"),
                      with("int a(int x) { return hidden(x) + 1; }\n")};
  const Source target{with(b), with("static long counted = 3;\n" + user + "counted += x; }\n" +
                                    "int b(int x) { return hidden(x) + f(x); }\n")};
  EXPECT_EQ(refused({{"source", source}, {"target", target}}), "state_lost counted\n");
}

}  // namespace
}  // namespace ksplice
