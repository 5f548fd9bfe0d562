// Updates on top of updates: from sources and a linked image to update object a, and from there to
// update objects that are made with a in place.
#include "objdiff/update/lower_update.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "kmod-core/ksplice_abi.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/tool.h"
#include "objdiff/object/atoms.h"
#include "objdiff/object/elf_read.h"
#include "objdiff/object/elf_write.h"
#include "tests/unit/compile.h"

namespace ksplice {
namespace {

// The unit that is patched again and again. rare() makes gcc split off target.cold.
const std::string Stock = R"(
extern int exported(const char*, ...);
extern int hidden(int);
extern void rare(int) __attribute__((cold));
static int counter = 3;
static const int table[4] = {10, 20, 30, 40};
/*NEW*/
static __attribute__((noinline)) int helper(int x) { return hidden(x) + counter; }
int target(int x) { if (x == 77) { rare(x); rare(x + 1); } return helper(x) /*A*/ + table[x & 3]; }
int other(int x) { return helper(x + 1) * 2 /*B*/; }
int third(int x) { return exported("third %d", x) /*C*/; }
)";

const char* const Others = R"(
int exported(const char* s, ...) { return s[0]; }
int hidden(int x) { return x ^ 5; }
void rare(int x) { hidden(x); }
void __fentry__(void) {}
const char linux_banner[] = "Linux version 6.1.0-test (root@host) (gcc 12) #1 SMP";
)";

std::string with(std::string text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

// Stock with patch a: it counts in a new variable and has a new function.
std::string patched_a() {
  return with(with(Stock, "/*NEW*/",
                   "static int hits = 7; int shared = 1;\n"
                   "static __attribute__((noinline)) int added(int x) { return hidden(x + 4); }\n"),
              "/*A*/", "+ ++hits + added(x) + shared");
}

// A unit before and after a patch, and what is made of it on top of an image.
struct Made {
  Object pre, post;
  ObjectDiff diff;
  MatchResult match;
  UpdateObject update;

  const FunctionMatch& function(const std::string& name) const {
    return *match.find(pre.find_symbol(name));
  }
  // Where the absolute symbol leads.
  RunLocation location(const std::string& name) const {
    for (const FinalSymbol& symbol : update.finalization.symbols)
      if (symbol.name == name) return symbol.location;
    ADD_FAILURE() << "no absolute symbol " << name;
    return {};
  }
};

class LowerUpdateTest : public testing::Test {
 protected:
  RunImage stock(const std::vector<std::string>& more = {}) {
    std::vector<std::string> argv = {"ld",
                                     "-Ttext=0xffffffff81000000",
                                     "--defsym=_text=0xffffffff81000000",
                                     KSPLICE_TEST_TABLES,
                                     "-e",
                                     "target",
                                     "-o",
                                     shop_.file("vmlinux"),
                                     shop_.compile("unit.c", Stock, test::TracedFlags),
                                     shop_.compile("others.c", Others, test::TracedFlags)};
    for (const std::string& text : more)
      argv.push_back(shop_.compile(std::to_string(argv.size()) + ".c", text, test::TracedFlags));
    shop_.run(argv);
    RunImage image = read_run_image(shop_.file("vmlinux"));
    image.exports = {"exported", "__fentry__"};
    return image;
  }

  Object object(const std::string& name, const std::string& text) {
    std::vector<std::string> flags = test::TracedFlags;
    flags.insert(flags.end(), {"-ffunction-sections", "-fdata-sections"});
    Object result = read_object(shop_.compile(name, text, flags));
    normalise(result);
    return result;
  }

  std::unique_ptr<Made> make(const std::string& id, const RunImage& image,
                             const std::string& before, const std::string& after,
                             const std::string& name = "unit.o") {
    auto made = std::make_unique<Made>();
    made->pre = object("pre.c", before);
    made->post = object("post.c", after);
    made->diff = diff_objects(made->pre, made->post);
    made->match = match_run_pre(made->pre, image);
    Unit unit{name, &made->pre, &made->post, &made->diff, &made->match};
    const RunImage& vmlinux = image.is_module() ? *vmlinux_ : image;
    made->update = make_update_object({unit}, image, vmlinux, {id, "text", 1, {}, {}});
    return made;
  }

  static std::string refusals(const Made& made) {
    std::string text;
    for (const Refusal& refusal : made.update.refusals) text += format_refusal(refusal);
    return text;
  }

  // The stock unit as a module.
  RunImage module() {
    vmlinux_ = std::make_unique<RunImage>(stock());
    return read_run_image(shop_.compile(
        "mod.c",
        Stock +
            "static const char info[] __attribute__((section(\".modinfo\"), used)) = "
            "\"name=mod\\0vermagic=6.1.0-test SMP\";"
            "static char self[64] __attribute__((section(\".gnu.linkonce.this_module\"), used));",
        test::TracedFlags));
  }

  // The module as in a tarball. kbuild links the object, and adds the frame of a module, of which
  // struct module counts here.
  LowerUpdate lower(const std::string& id, Made& made, const std::string& target = "vmlinux") {
    if (made.update.object.find_section(".gnu.linkonce.this_module") == nullptr) {
      auto frame = std::make_unique<Section>();
      frame->name = ".gnu.linkonce.this_module";
      frame->type = SHT_PROGBITS;
      frame->flags = SHF_ALLOC | SHF_WRITE;
      frame->data.resize(64);
      frame->size = frame->data.size();
      made.update.object.sections.push_back(std::move(frame));
    }
    write_file(shop_.file("update.o"), write_object(made.update.object));
    shop_.run({"ld", "-r", "-o", shop_.file("update.ko"), shop_.file("update.o")});
    return {id, "ksplice_" + id + "_" + target, read_file(shop_.file("update.ko")),
            made.update.finalization};
  }

  // The stock kernel with update a applied.
  RunImage with_a(const std::vector<std::string>& more = {}) {
    RunImage image = stock(more);
    std::unique_ptr<Made> a = make("a", image, Stock, patched_a());
    EXPECT_EQ(refusals(*a), "");
    EXPECT_EQ(a->update.needs, Names());
    add_lower_update(image, lower("a", *a));
    return image;
  }

  using Names = std::vector<std::string>;
  const Names OnA = {"ksplice_a_vmlinux"};
  std::unique_ptr<RunImage> vmlinux_;  // beside a module
  test::Workshop shop_;
};

TEST_F(LowerUpdateTest, SecondUpdateIsProvenAgainstTheFirst) {
  RunImage image = with_a();
  std::unique_ptr<Made> b =
      make("b", image, patched_a(), with(patched_a(), "++hits", "(hits += 2)"));
  ASSERT_EQ(refusals(*b), "");
  EXPECT_EQ(b->update.replaced, Names{"target"});
  EXPECT_EQ(b->update.needs, OnA);
  // What came with a is used where it is, and not brought along again.
  EXPECT_EQ(b->update.added, Names());
  EXPECT_EQ(b->location("hits").target, "ksplice_a_vmlinux");
  EXPECT_EQ(b->location("hits").section, ".data");
  EXPECT_EQ(b->location("added").target, "ksplice_a_vmlinux");
  EXPECT_EQ(b->location("helper").target, "vmlinux");
  // The code that is replaced is a's, with its cold part; calls still go to the old entry.
  EXPECT_EQ(b->function("target").run.location.target, "ksplice_a_vmlinux");
  EXPECT_EQ(b->function("target.cold").run.location.target, "ksplice_a_vmlinux");
  EXPECT_EQ(b->match.addresses.at(b->pre.find_symbol("target")),
            image.unique_symbol("target")->addr);
  EXPECT_EQ(b->function("other").run.location.target, "vmlinux");
}

TEST_F(LowerUpdateTest, SourceWithoutTheFirstPatchIsRefused) {
  std::unique_ptr<Made> b = make("b", with_a(), Stock, with(Stock, "/*A*/", "+ 1"));
  ASSERT_EQ(b->update.refusals.size(), 1u) << refusals(*b);
  EXPECT_EQ(b->update.refusals[0].code, "no_match");
  EXPECT_NE(b->update.refusals[0].advice.find("ksplice_a_vmlinux"), std::string::npos)
      << b->update.refusals[0].advice;
}

TEST_F(LowerUpdateTest, AFlippedByteOfTheFirstIsRefused) {
  RunImage image = with_a();
  uint64_t body = image.body_of(image.unique_symbol("target")->addr);
  ASSERT_EQ(image.owner_of(body), "ksplice_a_vmlinux");
  for (RunSection& section : image.sections)
    if (body >= section.addr && body < section.addr + section.size)
      section.data[body - section.addr + 7] ^= 1;
  std::unique_ptr<Made> b =
      make("b", image, patched_a(), with(patched_a(), "++hits", "(hits += 2)"));
  ASSERT_EQ(b->update.refusals.size(), 1u) << refusals(*b);
  EXPECT_EQ(b->update.refusals[0].symbol, "target");
}

// The compiler knew the first's code.
TEST_F(LowerUpdateTest, WhatIsOfOneUnitWithTheFirstNeedsIt) {
  std::unique_ptr<Made> b = make("b", with_a(), patched_a(), with(patched_a(), "/*B*/", "+ 1"));
  ASSERT_EQ(refusals(*b), "");
  EXPECT_EQ(b->update.replaced, Names{"other"});
  EXPECT_EQ(b->update.needs, OnA);
  b = make("b", with_a(), Stock, with(Stock, "/*B*/", "+ 1"));
  ASSERT_EQ(b->update.refusals.size(), 1u);
  EXPECT_EQ(b->update.refusals[0].code, "no_match");
  EXPECT_EQ(b->update.refusals[0].advice,
            "make it from the source with the patch of update a in it");
}

TEST_F(LowerUpdateTest, WhatDoesNotTouchTheFirstDoesNotNeedIt) {
  const std::string alone = "int alone(int x) { return x * 5 /*E*/; }";
  RunImage image = with_a({alone});
  std::unique_ptr<Made> b = make("b", image, alone, with(alone, "/*E*/", "+ 3"), "alone.o");
  ASSERT_EQ(refusals(*b), "");
  EXPECT_EQ(b->update.replaced, Names{"alone"});
  EXPECT_EQ(b->update.needs, Names());
}

TEST_F(LowerUpdateTest, UsingDataOfTheFirstNeedsIt) {
  std::unique_ptr<Made> b = make("b", with_a(), patched_a(), with(patched_a(), "/*C*/", "+ hits"));
  ASSERT_EQ(refusals(*b), "");
  EXPECT_EQ(b->update.replaced, Names{"third"});
  EXPECT_EQ(b->update.needs, OnA);
  EXPECT_EQ(b->function("third").run.location.target, "vmlinux");
  EXPECT_EQ(b->location("hits").target, "ksplice_a_vmlinux");
}

// It was compiled for the parameters that this one has there.
TEST_F(LowerUpdateTest, CallingWhatTheFirstReplacedNeedsIt) {
  std::unique_ptr<Made> b =
      make("b", with_a(), patched_a(), with(patched_a(), "/*B*/", "+ target(x)"));
  ASSERT_EQ(refusals(*b), "");
  EXPECT_EQ(b->update.replaced, Names{"other"});
  EXPECT_EQ(b->update.needs, OnA);
  // Who called it before did so before the first as well.
  const std::string caller = "int target(int); int caller(int x) { return target(x) /*D*/; }";
  RunImage image = with_a({caller});
  b = make("b", image, caller, with(caller, "/*D*/", "+ 3"), "caller.o");
  ASSERT_EQ(refusals(*b), "");
  EXPECT_EQ(b->update.replaced, Names{"caller"});
  EXPECT_EQ(b->update.needs, Names());
}

TEST_F(LowerUpdateTest, DataOfAnUpdateThatWasNotNamedIsRefused) {
  std::unique_ptr<Made> b = make("b", stock(), patched_a(), with(patched_a(), "/*C*/", "+ hits"));
  ASSERT_EQ(b->update.refusals.size(), 1u) << refusals(*b);
  EXPECT_EQ(b->update.refusals[0].code, "failed_to_find");
  EXPECT_EQ(b->update.refusals[0].symbol, "hits");
}

TEST_F(LowerUpdateTest, AnotherUnitFindsWhatIsGlobal) {
  RunImage image = with_a();
  Object pre = object("pre.c", Others);
  Object post =
      object("post.c", with(std::string("extern int shared;\n") + Others, "x ^ 5", "x ^ shared"));
  ObjectDiff diff = diff_objects(pre, post);
  MatchResult match = match_run_pre(pre, image);
  UpdateObject update =
      make_update_object({{"others.o", &pre, &post, &diff, &match}}, image, image, {"b", "", 1});
  ASSERT_TRUE(update.refusals.empty()) << format_refusal(update.refusals[0]);
  EXPECT_EQ(update.needs, OnA);
}

// The kernel does not tell where the section is, but where the variable is.
TEST_F(LowerUpdateTest, PerCpuDataOfTheFirstIsFoundByItsName) {
  const std::string percpu = "__attribute__((section(\".data..percpu\"))) ";
  const std::string before = with(patched_a(), "static int hits", percpu + "static int hits");
  RunImage image = stock();
  std::unique_ptr<Made> a = make("a", image, Stock, before);
  ASSERT_EQ(refusals(*a), "");
  add_lower_update(image, lower("a", *a));
  std::unique_ptr<Made> b = make("b", image, before, with(before, "/*C*/", "+ hits"));
  ASSERT_EQ(refusals(*b), "");
  EXPECT_EQ(b->update.needs, OnA);
  const RunLocation hits = b->location("hits");
  EXPECT_EQ(hits.target, "ksplice_a_vmlinux");
  EXPECT_EQ(hits.symbol, "hits");
  EXPECT_EQ(hits.offset, 0);
  EXPECT_TRUE(hits.percpu);
  // The next one finds it, too, in the values that b's module has for it.
  add_lower_update(image, lower("b", *b));
  std::unique_ptr<Made> c =
      make("c", image, with(before, "/*C*/", "+ hits"), with(before, "/*C*/", "+ hits * 2"));
  ASSERT_EQ(refusals(*c), "");
  EXPECT_EQ(c->location("hits").symbol, "hits");
}

TEST_F(LowerUpdateTest, AFunctionThatCameWithTheFirstIsReplaced) {
  std::unique_ptr<Made> b = make("b", with_a(), patched_a(), with(patched_a(), "x + 4", "x + 5"));
  ASSERT_EQ(refusals(*b), "");
  EXPECT_EQ(b->update.replaced, Names{"added"});
  EXPECT_EQ(b->update.needs, OnA);
  EXPECT_EQ(b->function("added").run.location.target, "ksplice_a_vmlinux");
}

TEST_F(LowerUpdateTest, ThreeLevels) {
  RunImage image = with_a();
  std::string after_b = with(patched_a(), "++hits", "(hits += 2)");
  std::unique_ptr<Made> b = make("b", image, patched_a(), after_b);
  RunImage without_a = stock();
  try {
    add_lower_update(without_a, lower("b", *b));
    FAIL() << "a is missing";
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "needs_update") << error.what();
  }
  add_lower_update(image, lower("b", *b));
  std::unique_ptr<Made> c = make("c", image, after_b, with(after_b, "(hits += 2)", "(hits += 3)"));
  ASSERT_EQ(refusals(*c), "");
  EXPECT_EQ(c->update.needs, (Names{"ksplice_a_vmlinux", "ksplice_b_vmlinux"}));
  EXPECT_EQ(c->function("target").run.location.target, "ksplice_b_vmlinux");
  EXPECT_EQ(c->location("hits").target, "ksplice_a_vmlinux");
  // An update that was made on top of a alone does not fit on top of b.
  EXPECT_THROW(add_lower_update(image, lower("c", *b)), Error);
}

TEST_F(LowerUpdateTest, UpdatesOfAModule) {
  RunImage image = module();
  ASSERT_EQ(image.target, "mod");
  std::unique_ptr<Made> a = make("a", image, Stock, patched_a());
  ASSERT_EQ(refusals(*a), "");
  add_lower_update(image, lower("a", *a, "mod"));
  std::unique_ptr<Made> b =
      make("b", image, patched_a(), with(patched_a(), "++hits", "(hits += 2)"));
  ASSERT_EQ(refusals(*b), "");
  EXPECT_EQ(b->update.needs, Names{"ksplice_a_mod"});
  EXPECT_EQ(b->location("hits").target, "ksplice_a_mod");
  EXPECT_EQ(b->location("helper").target, "mod");
  EXPECT_EQ(b->function("target").run.location.target, "ksplice_a_mod");
  // What the module imports is imported by the update too.
  const Symbol* rare = nullptr;
  for (const auto& symbol : b->update.object.symbols)
    if (symbol->name == "rare") rare = symbol.get();
  ASSERT_NE(rare, nullptr);
  EXPECT_TRUE(rare->is_undefined());
}

uint32_t object_flags(const UpdateObject& update) {
  ksplice_object head;
  std::memcpy(&head, update.object.find_section(".ksplice.object")->data.data(), sizeof head);
  return head.flags;
}

// What the patch exports from vmlinux is in the update's other module, which is loaded first.
TEST_F(LowerUpdateTest, ANeighbourIsInTheOtherModule) {
  RunImage image = module();
  UpdateInfo info{"b", "", 2, {}, {}};
  info.neighbours["fresh"] = {"vmlinux", "ksplice_b_vmlinux", {}, ""};
  auto update = [&](const std::string& use) {
    std::unique_ptr<Made> made =
        make("b", image, Stock, "extern int fresh(int);" + with(Stock, "/*C*/", use));
    Unit unit{"unit.o", &made->pre, &made->post, &made->diff, &made->match};
    made->update = make_update_object({unit}, image, *vmlinux_, info);
    return made;
  };
  std::unique_ptr<Made> made = update("+ fresh(x)");
  ASSERT_EQ(refusals(*made), "");
  EXPECT_EQ(made->location("fresh").target, "ksplice_b_vmlinux");
  EXPECT_EQ(made->location("fresh").symbol, "fresh");
  ASSERT_EQ(made->update.uses.size(), 1u);
  EXPECT_TRUE(made->update.uses[0].is_new && made->update.uses[0].only_called);
  EXPECT_EQ(object_flags(made->update), 0u);
  made = update("+ (long)fresh");
  ASSERT_EQ(made->update.uses.size(), 1u);
  EXPECT_FALSE(made->update.uses[0].only_called);
  // A module that is used must stay in memory.
  info.neighbours["fresh"] = {"lib", "ksplice_b_lib", {}, ""};
  made = update("+ fresh(x)");
  ASSERT_EQ(refusals(*made), "");
  EXPECT_EQ(object_flags(made->update), static_cast<uint32_t>(KSPLICE_OBJECT_USES_OTHERS));
  // Of a module that the update has nothing for, nobody would hold it.
  info.neighbours["fresh"] = {"lib", "", RunLocation{"lib", ".text", "", 0, false}, ""};
  made = update("+ fresh(x)");
  ASSERT_EQ(made->update.refusals.size(), 1u);
  EXPECT_EQ(made->update.refusals[0].code, "failed_to_find");
  EXPECT_NE(made->update.refusals[0].message.find("holds lib in memory"), std::string::npos);
}

TEST_F(LowerUpdateTest, WhatOnlyANeighbourUsesComesAlong) {
  RunImage image = stock();
  std::unique_ptr<Made> made =
      make("b", image, Stock,
           with(Stock, "/*C*/", "+ 1") + "int fresh(int x) { return hidden(x) * 3; }");
  ASSERT_EQ(refusals(*made), "");
  EXPECT_EQ(made->update.added, Names());
  Unit unit{"unit.o", &made->pre, &made->post, &made->diff, &made->match};
  UpdateInfo info{"b", "", 2, {}, {{"fresh", "ksplice_b_mod", true, false}}};
  UpdateObject update = make_update_object({unit}, image, image, info);
  EXPECT_EQ(update.added, Names{"fresh"});
  EXPECT_FALSE(update.is_kept());
  info.wanted[0].stays = true;
  EXPECT_TRUE(make_update_object({unit}, image, image, info).is_kept());
}

TEST_F(LowerUpdateTest, AStaticFunctionMadeGlobalIsTheOneThatRuns) {
  RunImage image = stock();
  std::unique_ptr<Made> made = make("b", image, Stock,
                                    with(Stock, "static __attribute__((noinline)) int helper",
                                         "__attribute__((noinline)) int helper"));
  EXPECT_EQ(made->diff.made_global, Names{"helper"});
  Object pre = object("others.c", Others);
  Object post = object("post.c", with("extern int helper(int);\n" + std::string(Others),
                                      "(x); }\nvoid __f", "(helper(x)); }\nvoid __f"));
  ObjectDiff diff = diff_objects(pre, post);
  MatchResult match = match_run_pre(pre, image);
  Unit user{"others.o", &pre, &post, &diff, &match};
  Unit unit{"unit.o", &made->pre, &made->post, &made->diff, &made->match};
  UpdateObject update = make_update_object({unit, user}, image, image, {"b", "", 1, {}, {}});
  ASSERT_TRUE(update.refusals.empty()) << format_refusal(update.refusals[0]);
  EXPECT_EQ(update.replaced, Names{"rare"});
  EXPECT_EQ(update.added, Names());
  const auto& symbols = update.finalization.symbols;
  EXPECT_TRUE(std::any_of(symbols.begin(), symbols.end(), [&](const FinalSymbol& symbol) {
    return symbol.name == "helper" &&
           symbol.location.offset == static_cast<int64_t>(image.unique_symbol("helper")->addr -
                                                          image.unique_symbol("_text")->addr);
  }));
}

// The other unit's clone is alike in all, and yet it is not the one that is meant.
TEST_F(LowerUpdateTest, ACloneElsewhereIsNotTakenInstead) {
  std::string clone =
      "extern int hidden(int);\n"
      "static __attribute__((noinline)) int twin(int x) { return hidden(x) * 3; }\n"
      "int user_of_NAME(int x) { return twin(x) + 1; }\n";
  std::string own = with(clone, "NAME", "one");
  RunImage image = stock({own, with(clone, "NAME", "two")});
  std::string changed = with(own, "* 3", "* 4");
  std::unique_ptr<Made> a = make("a", image, own, changed);
  ASSERT_EQ(refusals(*a), "");
  add_lower_update(image, lower("a", *a));
  std::unique_ptr<Made> b = make("b", image, own, with(own, "* 3", "* 5"));
  ASSERT_EQ(b->update.refusals.size(), 1u) << refusals(*b);
  EXPECT_EQ(b->update.refusals[0].symbol, "twin");
  b = make("b", image, changed, with(own, "* 3", "* 5"));
  ASSERT_EQ(refusals(*b), "");
  EXPECT_EQ(b->update.needs, OnA);
}

}  // namespace
}  // namespace ksplice
