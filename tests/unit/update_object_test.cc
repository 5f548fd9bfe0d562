// An update object: what is copied, imported, made absolute or refused, and that the tables say so.
#include <elf.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "kmod-core/ksplice_abi.h"
#include "objdiff/arch/arch.h"
#include "objdiff/object/elf_write.h"
#include "tests/unit/update_samples.h"

namespace ksplice {
namespace {

using namespace test;

std::set<std::string> names(const UpdateObject& update, bool absolute) {
  std::set<std::string> result;
  for (const auto& symbol : update.object.symbols)
    if (symbol->section == nullptr && (symbol->shndx == SHN_ABS) == absolute)
      result.insert(symbol->name);
  return result;
}

// objtool takes what has ".cold" in its name for the cold part of a function that must be there.
TEST(UpdateObject, AbsoluteSymbolOfAColdPartHasAnotherName) {
  const std::string bad = "  if (x < 0) { rare(x); rare(x + 1); }\n  return helper(x) + table";
  const std::string rare = "extern void rare(int) __attribute__((cold));\n";
  std::string pre = rare + replaced("return helper(x) + table", bad);
  std::string post = pre;
  post.replace(post.find("pre %d"), 6, "new %d");
  for (std::string* text : {&pre, &post})
    *text += "__attribute__((cold, noinline)) void rare(int x) { exported(\"\", x); }\n";
  Made made = make(post, pre);
  ASSERT_TRUE(made.update.refusals.empty()) << made.update.refusals[0].message;
  const auto absolute = names(made.update, true);
  EXPECT_TRUE(absolute.contains("target_cold"));
  EXPECT_TRUE(std::none_of(absolute.begin(), absolute.end(), [](const std::string& name) {
    return name.find(".cold") != std::string::npos;
  }));
}

TEST(UpdateObject, ChangedFunctionComesWithItsNeedsOnly) {
  Made made = make(replaced("pre %d", "post %d"));
  ASSERT_TRUE(made.update.refusals.empty()) << made.update.refusals[0].message;
  EXPECT_EQ(made.update.replaced, std::vector<std::string>{"target"});
  EXPECT_EQ(names(made.update, false), (std::set<std::string>{"exported", "__fentry__"}));
  // helper and table are existing things without an export; target itself is what is replaced.
  EXPECT_EQ(names(made.update, true), (std::set<std::string>{"helper", "table", "target"}));
  // A name is asked for to find the function that all calls go through.
  const Symbol* body = made.update.object.find_symbol("ksplice_abc_target");
  ASSERT_NE(body, nullptr);
  EXPECT_NE(body->section, nullptr);
  EXPECT_EQ(made.update.object.find_symbol("target")->section, nullptr);
  EXPECT_EQ(made.update.object.find_symbol("other"), nullptr);
  // The addresses are those of the image.
  for (const FinalSymbol& symbol : made.update.finalization.symbols) {
    const RunSymbol* run = made.image.unique_symbol(symbol.name);
    ASSERT_NE(run, nullptr) << symbol.name;
    EXPECT_EQ(symbol.location.offset, made.image.locate(run->addr).offset) << symbol.name;
  }
  // The same input gives the same bytes, and a linker takes them.
  Made again = make(replaced("pre %d", "post %d"));
  EXPECT_EQ(write_object(made.update.object), write_object(again.update.object));
}

TEST(UpdateObject, TablesCarryTheExpectedBytes) {
  Made made = make(replaced("pre %d", "post %d"));
  const Section* runs = made.update.object.find_section(".ksplice.runs");
  const Section* bytes = made.update.object.find_section(".ksplice.bytes");
  ASSERT_NE(runs, nullptr);
  ASSERT_EQ(runs->size, sizeof(ksplice_run));
  ksplice_run record;
  std::memcpy(&record, runs->data.data(), sizeof record);
  const FunctionMatch* match = made.match.find(made.pre.find_symbol("target"));
  ASSERT_NE(match, nullptr);
  ASSERT_EQ(record.size, match->run.bytes.size());
  EXPECT_EQ(record.nr_ranges, match->run.ranges.size());
  EXPECT_TRUE(std::equal(match->run.bytes.begin(), match->run.bytes.end(), bytes->data.begin()));
  const Section* object = made.update.object.find_section(".ksplice.object");
  ksplice_object head;
  std::memcpy(&head, object->data.data(), sizeof head);
  EXPECT_EQ(head.abi_version, static_cast<uint32_t>(KSPLICE_ABI_VERSION));
  EXPECT_EQ(head.nr_functions, 1u);
  EXPECT_EQ(head.nr_objects, 1u);
}

// The core writes what counts into it; until then it is a jump to the new body.
TEST(UpdateObject, EachFunctionHasACounter) {
  Made made = make(replaced("pre %d", "post %d"));
  const Symbol* counter = made.update.object.find_symbol("ksplice_calls_of_ksplice_abc_target");
  ASSERT_NE(counter, nullptr);
  EXPECT_TRUE(counter->is_function());
  EXPECT_EQ(counter->size, static_cast<uint64_t>(KSPLICE_COUNTER_SIZE));
  const Section& code = *counter->section;
  EXPECT_EQ(code.align % KSPLICE_COUNTER_SIZE, 0u);
  ASSERT_EQ(code.relocations.size(), 1u);
  EXPECT_EQ(code.relocations[0].symbol->name, "ksplice_abc_target");
  std::optional<Instruction> jump = decode_instruction(code.data, counter->value);
  ASSERT_TRUE(jump);
  EXPECT_EQ(jump->kind, InstructionKind::Jump);
  EXPECT_EQ(code.relocations[0].offset, jump->end() - 4);
  const Section* functions = made.update.object.find_section(".ksplice.functions");
  EXPECT_TRUE(std::any_of(
      functions->relocations.begin(), functions->relocations.end(), [&](const Relocation& each) {
        return each.offset == offsetof(ksplice_function, counter) && each.symbol == counter;
      }));
}

TEST(UpdateObject, NewFunctionsAndDataAreCopied) {
  Made made = make(std::string(Pre).replace(
      std::string(Pre).find("int target"), std::string::npos,
      "static int fresh = 7;\n"
      "__attribute__((noinline)) static int added(int x) { fresh += x; return hidden(fresh); }\n"
      "int target(int x) { exported(\"pre %d\\n\", x); return helper(x) + table[x & 3] + added(x); "
      "}\n"
      "int other(int x) { return helper(x + 1) * 2 + table[x & 1]; }\n"));
  ASSERT_TRUE(made.update.refusals.empty()) << made.update.refusals[0].message;
  ASSERT_NE(made.update.object.find_symbol("added"), nullptr);
  ASSERT_NE(made.update.object.find_symbol("fresh"), nullptr);
  EXPECT_EQ(made.update.object.find_symbol("fresh")->section->name, ".data");
  EXPECT_TRUE(names(made.update, true).contains("hidden"));
}

// "CODE SYMBOL" of all that the update object refuses when target calls what declaration adds.
std::string refused_with(const std::string& declaration, const std::string& use) {
  std::string post = replaced("return helper(x) +", "return helper(x) + " + use + " +");
  post.insert(post.find("int target"), declaration + "\n");
  std::string text;
  for (const Refusal& refusal : make(post).update.refusals)
    text += refusal.code + " " + refusal.symbol + "\n";
  return text;
}

TEST(UpdateObject, UnknownExternalIsRefused) {
  EXPECT_EQ(refused_with("int nowhere(int);", "nowhere(x)"), "failed_to_find nowhere\n");
}

TEST(UpdateObject, CodeThatIsFreedAfterBootIsRefused) {
  const std::string body =
      "__attribute__((noinline)) static int fresh(int x) { return hidden(x); }";
  EXPECT_EQ(refused_with("__attribute__((section(\".init.text\")))" + body, "fresh(x)"),
            "init_code fresh\n");
  EXPECT_EQ(refused_with(body, "fresh(x)"), "");
}

TEST(UpdateObject, DataThatIsFreedAfterBootAreRefused) {
  EXPECT_EQ(
      refused_with("__attribute__((section(\".init.data\"))) static int fresh = 3;", "fresh++"),
      "init_data fresh\n");
  EXPECT_EQ(refused_with("static int fresh = 3;", "fresh++"), "");
}

// Existing things, that were there when the kernel started.
TEST(UpdateObject, ExistingCodeAndDataThatAreFreedAreRefused) {
  auto refusals = [](const std::string& start, const std::string& pre, const std::string& post) {
    auto source = [&](const std::string& use) {
      return "extern int hidden(int);\n" + start + "int target(int x) { return hidden(x) + " + use +
             "; }\n";
    };
    std::string text;
    for (const Refusal& refusal : make(source(post), source(pre)).update.refusals)
      text += refusal.code + " " + refusal.symbol + "\n";
    return text;
  };
  const std::string code =
      "__attribute__((noinline, section(\".init.text\"))) int start(int x) { return hidden(x) ^ 9; "
      "}\n";
  EXPECT_EQ(refusals(code, "1", "start(x)"), "init_code start\n");
  EXPECT_EQ(refusals(code, "start(x)", "start(x + 1)"), "");  // __ref
  const std::string data =
      "__attribute__((section(\".init.data\"))) int early = 3;\n"
      "int user(int x) { return hidden(x) + early; }\n";
  EXPECT_EQ(refusals(data, "1", "early"), "init_data early\n");
  EXPECT_EQ(refusals(data, "early", "early + 1"), "");
}

TEST(UpdateObject, WritableDataWithoutANameAreRefused) {
  auto use = [](const std::string& name, const std::string& section = ".data") {
    return "({ asm volatile(\"incl 9f(%rip)\\n.pushsection " + section + ",\\\"aw\\\"\\n" + name +
           "9: .long 5\\n.popsection\"); 1; })";
  };
  EXPECT_EQ(refused_with("", use("")), "unnamed_data .data+0x0\n");
  EXPECT_EQ(refused_with("", use("mine: .type mine,@object\\n.size mine,4\\n")), "");
  EXPECT_EQ(refused_with("", use("", ".data..Lubsan_data7")), "");  // comes with its code
}

// Functions that share a section: the assembler joins them with branches of one byte.
TEST(UpdateObject, ShortBranchIntoAnotherFunctionIsRefused) {
  auto source = [](const std::string& call, const std::string& jump) {
    const std::string shared = "__attribute__((noinline, section(\".sched.text\"))) ";
    return std::string("extern int exported(const char*, ...);\n") + shared +
           "static int neighbour(int x) { int y; asm volatile(\".Linside: incl %0\" : \"=r\"(y) : "
           "\"0\"(x)); return y; }\n" +
           shared + "int target(int x) { exported(\"" + call + "\"); " + jump +
           " return neighbour(x) + 1; }\n";
  };
  auto refusals = [&](const std::string& jump) {
    std::string text;
    for (const Refusal& refusal : make(source("post", jump), source("pre", jump)).update.refusals)
      text += refusal.code + " " + refusal.symbol + "\n";
    return text;
  };
  EXPECT_EQ(refusals("asm volatile(\"jc .Linside\");"),
            "unresolved_branch target\ninner_address neighbour\n");
  EXPECT_EQ(refusals("asm volatile(\"jc 1f; nop; 1:\");"), "");
}

TEST(UpdateObject, AddressInsideAnotherFunctionIsRefused) {
  auto use = [](const std::string& place) {
    return "({ long y; asm(\"movq $" + place + ", %0\" : \"=r\"(y)); (int)y; })";
  };
  EXPECT_EQ(refused_with("", use("other+5")), "inner_address other\n");
  EXPECT_EQ(refused_with("", use("other")), "");
  EXPECT_EQ(refused_with("", use("target+5")), "");  // comes along
}

// The labels of the running kernel's table are in the old body.
TEST(UpdateObject, TableOfLabelsComesWithItsFunction) {
  auto source = [](const std::string& step) {
    return std::string(
               "int target(const unsigned char *at, int x) {\n"
               "  static const void *const jumps[] = {&&add, &&twice, &&end};\n"
               "  goto *jumps[*at];\n"
               "add: x += ") +
           step +
           "; goto *jumps[*++at];\n"
           "twice: x *= 2; goto *jumps[*++at];\n"
           "end: return x;\n}\n";
  };
  Made made = make(source("7"), source("5"));
  ASSERT_TRUE(made.update.refusals.empty()) << made.update.refusals[0].message;
  EXPECT_EQ(names(made.update, true), std::set<std::string>{"target"});
  const Section* table = made.update.object.find_section(".rodata");
  ASSERT_NE(table, nullptr);
  ASSERT_EQ(table->relocations.size(), 3u);
  for (const Relocation& relocation : table->relocations) {
    ASSERT_NE(relocation.symbol->section, nullptr);
    EXPECT_EQ(relocation.symbol->section->name, ".text");
  }
}

// The flag of a warning that stays is the running one, and that of a new one is new.
TEST(UpdateObject, FlagOfANewWarningIsNewAndTheOthersAreKept) {
  const std::string macro =
      "extern int exported(const char*, ...);\n"
      "#define ONCE(c, text) do { static _Bool __attribute__((section(\".data..once\"))) "
      "__already_done; if ((c) && !__already_done) { __already_done = 1; exported(text); } } while "
      "(0)\n";
  const std::string pre =
      "int other(int x) { ONCE(x == 2, \"other\"); return x; }\n"
      "int target(int x) { ONCE(x, \"old\"); return x; }\n";
  std::string post = pre;
  post.insert(post.find("ONCE(x, "), "ONCE(x == 3, \"new\"); ");
  Made made = make(macro + post, macro + pre);
  ASSERT_TRUE(made.update.refusals.empty()) << made.update.refusals[0].message;
  const Atoms atoms(made.pre);
  uint64_t old_flag = 0;  // where target's flag is in the running kernel
  for (const Relocation* relocation : atoms.relocations(*atoms.of(made.pre.find_symbol("target"))))
    if (const Atom* atom = atoms.resolve(*made.pre.find_section(".text.target"), *relocation).atom;
        atom != nullptr && atom->name.starts_with("__already_done"))
      old_flag = made.match.addresses.at(atom->symbol);
  ASSERT_NE(old_flag, 0u);
  std::set<int64_t> kept;
  int fresh = 0;
  for (const Relocation& relocation : made.update.object.find_section(".text")->relocations) {
    if (relocation.symbol->section != nullptr && relocation.symbol->section->name == ".data..once")
      fresh++;
    for (const FinalSymbol& symbol : made.update.finalization.symbols)
      if (symbol.name == relocation.symbol->name && symbol.name.starts_with("__already_done"))
        kept.insert(symbol.location.offset);
  }
  EXPECT_EQ(kept, std::set<int64_t>{made.image.locate(old_flag).offset});
  EXPECT_EQ(fresh, 2);  // tested and set
}

// A table of operations, with an entry more in post: first is there before, second is new.
const char* const Table = R"(
struct ops { long version; int (*one)(int); int (*two)(int); int (*three)(int); };
extern int hidden(int);
static __attribute__((noinline)) int first(int x) { return hidden(x) + 1; }
%s
struct ops table = { VERSION, first, TWO, THREE };
int target(int x) { return table.one(x) + first(x); }
)";
const char* const Second = "static int second(int x) { return hidden(x) + 2; }";

Made make_table(const std::string& version, const std::string& two, const std::string& three) {
  auto source = [](const std::string& defines, const std::string& more) {
    std::string text = Table;
    return defines + text.replace(text.find("%s"), 2, more);
  };
  return make(source("#define VERSION " + version + "\n#define TWO " + two + "\n#define THREE " +
                         three + "\n",
                     Second),
              source("#define VERSION 3\n#define TWO 0\n#define THREE first\n", ""));
}

TEST(UpdateObject, PointersOfATableAreSwitchedInPlace) {
  Made made = make_table("3", "second", "0");
  ASSERT_TRUE(made.update.refusals.empty()) << made.update.refusals[0].message;
  EXPECT_TRUE(made.update.replaced.empty());
  EXPECT_EQ(made.update.added, std::vector<std::string>{"second"});
  const Section* pointers = made.update.object.find_section(".ksplice.places");
  ASSERT_NE(pointers, nullptr);
  EXPECT_EQ(pointers->size, 2 * sizeof(ksplice_place));
  std::string text;
  for (const Relocation& relocation : pointers->relocations)
    if (!relocation.symbol->name.empty())
      text += fmt::format("{}: {}{:+}\n", relocation.offset, relocation.symbol->name,
                          relocation.addend);
  EXPECT_EQ(text, "8: table+16\n32: second+0\n48: table+24\n64: first+0\n");
  ksplice_object head;
  std::memcpy(&head, made.update.object.find_section(".ksplice.object")->data.data(), sizeof head);
  EXPECT_EQ(head.nr_places, 2u);
}

// Aligned words, of which only the bytes that differ count.
TEST(UpdateObject, ValuesAreSwitchedInPlaceByTheirBytes) {
  const std::string other = "short limit __attribute__((aligned(4))) = ";
  const std::string text = "; char text[12] = ";
  const std::string users =
      "; extern int hidden(int);\n"
      "int target(int x) { return hidden(limit) + text[x]; }\n";
  Made made = make(other + "0x1305" + text + "\"abcdefghiji\"" + users,
                   other + "0x1205" + text + "\"abcxefghijk\"" + users);
  ASSERT_TRUE(made.update.refusals.empty()) << made.update.refusals[0].message;
  const Section* section = made.update.object.find_section(".ksplice.places");
  std::vector<ksplice_place> places(section->size / sizeof(ksplice_place));
  std::memcpy(places.data(), section->data.data(), section->size);
  std::map<uint64_t, uint64_t> addrs;  // of the words, by the offset of their record
  for (const Relocation& relocation : section->relocations)
    if (relocation.offset % sizeof(ksplice_place) == offsetof(ksplice_place, addr))
      addrs[relocation.offset / sizeof(ksplice_place)] =
          made.image.unique_symbol(relocation.symbol->name)->addr +
          static_cast<uint64_t>(relocation.addend);
  ASSERT_EQ(addrs.size(), places.size());
  std::map<uint64_t, std::pair<int, int>> bytes;  // by address
  for (size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(addrs[i] % 8, 0u);
    for (unsigned byte = 0; byte < 8; ++byte) {
      const auto at = [&](uint64_t word) { return static_cast<int>(word >> byte * 8 & 0xff); };
      if (at(places[i].mask) != 0)
        bytes[addrs[i] + byte] = {at(places[i].old_value), at(places[i].new_value)};
      EXPECT_TRUE(at(places[i].mask) == 0 || at(places[i].mask) == 0xff);
    }
    EXPECT_EQ((places[i].old_value | places[i].new_value) & ~places[i].mask, 0u);
  }
  const uint64_t limit = made.image.unique_symbol("limit")->addr;
  const uint64_t string = made.image.unique_symbol("text")->addr;
  EXPECT_EQ(bytes,
            (std::map<uint64_t, std::pair<int, int>>{
                {limit + 1, {0x12, 0x13}}, {string + 3, {'x', 'd'}}, {string + 10, {'k', 'i'}}}));
}

TEST(UpdateObject, PointersAndValuesOfOneTableAreToldApart) {
  Made made = make_table("4", "second", "0");
  const DataDiff& table = *std::find_if(made.diff.data.begin(), made.diff.data.end(),
                                        [](const DataDiff& data) { return data.name == "table"; });
  EXPECT_EQ(table.places.pointers, (std::vector<uint64_t>{16, 24}));
  EXPECT_EQ(table.places.values, (std::vector<uint64_t>{0}));
  EXPECT_EQ(made.update.object.find_section(".ksplice.places")->size, 3 * sizeof(ksplice_place));
}

// Another class of memory is another variable, whatever else changed: no consent helps.
TEST(UpdateObject, AValueThatAlsoGetsOtherMemoryIsMoved) {
  auto code_of = [](const std::string& before, const std::string& after) {
    std::string codes;
    const std::string user = "; int target(int x) { return number + x; }\n";
    const Made made = make(after + user, before + user);
    for (const Refusal& refusal : made.diff.refusals) codes += refusal.code + " ";
    for (const DataDiff& data : made.diff.data)
      EXPECT_TRUE(data.name != "number" || data.places.empty());
    return codes;
  };
  EXPECT_NE(code_of("int number = 1", "__attribute__((section(\".data..percpu\"))) int number = 2")
                .find("data_moved"),
            std::string::npos);
  EXPECT_NE(code_of("const int number = 1", "int number = 2").find("data_moved"),
            std::string::npos);
}

TEST(UpdateObject, WhatIsNoPlaceOfItsOwnIsNotSwitched) {
  for (const char* section : {".data..percpu", ".data"}) {
    const std::string start = "extern int hidden(int);\n__attribute__((section(\"" +
                              std::string(section) + "\"))) int (*pointer)(int) = ";
    Made one = make(start + "hidden;\n", start + "0;\n");
    EXPECT_EQ(one.diff.data[0].places.pointers.size(), section == std::string(".data") ? 1u : 0u);
  }
  // A half of a pointer, and what was zeros without bytes in the file.
  auto low = [](const char* high) {
    return std::string(
               "__asm__(\".data; .globl a; .type a, @object; .size a, 8; a: .long hidden - ., ") +
           high + "\");\n";
  };
  Made half = make(low("1"), low("2"));
  ASSERT_EQ(half.diff.data[0].status, DiffStatus::Changed);
  EXPECT_TRUE(half.diff.data[0].places.empty());
  Made zero = make("int number = 1;\n", "int number;\n");
  EXPECT_TRUE(zero.diff.data[0].places.empty());
  Made size = make("int number[2] = {1};\n", "int number[1] = {2};\n");
  EXPECT_TRUE(size.diff.data[0].places.empty());
  EXPECT_EQ(make_table("3", "0", "first").update.object.find_section(".ksplice.places")->size, 0u);
}

TEST(UpdateObject, PointerThatTheImageHasOtherwiseIsRefused) {
  Made made = make_table("3", "second", "0");
  const RunSymbol* table = made.image.unique_symbol("table");
  for (uint64_t offset : {16, 24}) {
    RunImage wrong = made.image;
    for (RunSection& section : wrong.sections)
      if (section.addr <= table->addr && table->addr < section.addr + section.data.size())
        section.data[table->addr - section.addr + offset] ^= 0x10;
    Unit unit{"unit.o", &made.pre, &made.post, &made.diff, &made.match};
    UpdateObject update = make_update_object({unit}, wrong, wrong, {"abc", "", 1});
    ASSERT_EQ(update.refusals.size(), 1u);
    EXPECT_EQ(update.refusals[0].code, "no_match");
    EXPECT_EQ(update.refusals[0].offset, offset);
  }
}

// The image with one bit of the function changed, and the update that is then made.
UpdateObject update_for_changed(Made& made, const std::string& name) {
  RunImage wrong = made.image;
  const RunSymbol* symbol = wrong.unique_symbol(name);
  for (RunSection& section : wrong.sections)
    if (section.addr <= symbol->addr && symbol->addr < section.addr + section.data.size())
      section.data[symbol->addr - section.addr + symbol->size - 2] ^= 0x40;
  made.match = match_run_pre(made.pre, wrong);
  Unit unit{"unit.o", &made.pre, &made.post, &made.diff, &made.match};
  return make_update_object({unit}, wrong, wrong, {"abc", "", 1});
}

TEST(UpdateObject, UnprovenRunCodeIsRefused) {
  // The image is made from another source than pre: target differs.
  Made made = make(replaced("pre %d", "post %d"));
  UpdateObject update = update_for_changed(made, "target");
  ASSERT_FALSE(update.refusals.empty());
  EXPECT_EQ(update.refusals[0].code, "no_match");
}

TEST(UpdateObject, CallOfOtherCodeIsRefused) {
  // target matches and helper, which it calls, does not.
  Made made = make(replaced("pre %d", "post %d"));
  UpdateObject update = update_for_changed(made, "helper");
  ASSERT_EQ(update.refusals.size(), 1u);
  EXPECT_EQ(update.refusals[0].code, "no_match");
  EXPECT_NE(update.refusals[0].message.find("refers to helper"), std::string::npos);
}

// What the core shows of an update as the reason to keep it; "" if it can be unloaded.
std::string kept_text(const UpdateObject& update) {
  const Section* object = update.object.find_section(".ksplice.object");
  for (const Relocation& relocation : object->relocations) {
    if (relocation.offset != offsetof(ksplice_object, kept)) continue;
    const std::vector<uint8_t>& text = relocation.symbol->section->data;
    return reinterpret_cast<const char*>(text.data() + relocation.addend);
  }
  return "";
}

const char* const GivesAway =
    "static int fresh(int x) { return hidden(x) * 3; }\n"
    "struct holder { int (*call)(int); };\n#define holder() ((struct holder *)(long)hidden(1))\n";

TEST(UpdateObject, WhatMayBeInUseIsKept) {
  std::string post = replaced("return helper(x) +", "holder()->call = fresh; return helper(x) +");
  post.insert(post.find("int target"), GivesAway);
  Made made = make(post);
  ASSERT_EQ(made.update.given_away.size(), 1u);
  EXPECT_TRUE(made.update.given_away[0].sentence().starts_with("fresh is stored (in target+0x"));
  EXPECT_EQ(kept_text(made.update), made.update.given_away[0].sentence() + "\n");
}

TEST(UpdateObject, HooksThatTakeBackEveryAddressKeepNothing) {
  std::string post = replaced("return helper(x) +", "holder()->call = fresh; return helper(x) +");
  post.insert(post.find("int target"), GivesAway);
  post += "static const char declared __attribute__((used, section(\"" KSPLICE_ADDRESSES_REMOVED
          "\"))) = 1;\n";
  EXPECT_NE(kept_text(make(post).update), "");  // nobody takes anything back
  post +=
      "static void take_back(void) { holder()->call = 0; }\n"
      "static void (*const hook)(void) __attribute__((used, "
      "section(\".ksplice.call_post_reverse\"))) = take_back;\n";
  Made made = make(post);
  EXPECT_EQ(made.update.given_away.size(), 1u);
  EXPECT_TRUE(made.update.addresses_removed);
  EXPECT_EQ(kept_text(made.update), "");
}

TEST(UpdateObject, TextOfTheOriginalIsTheKernelsOwn) {
  Made made = make(replaced("exported(\"pre %d\\n\", x)", "exported(\"pre %d\\n\", x + 1)"));
  EXPECT_EQ(made.update.given_away.size(), 0u);
  const auto text =
      std::find_if(made.update.finalization.symbols.begin(), made.update.finalization.symbols.end(),
                   [](const FinalSymbol& each) { return each.name.starts_with("ksplice_text_"); });
  ASSERT_NE(text, made.update.finalization.symbols.end());
  const uint64_t text_start = made.image.unique_symbol("_text")->addr;
  const auto bytes = made.image.read(text_start + static_cast<uint64_t>(text->location.offset), 7);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(std::string(bytes->begin(), bytes->end()), "pre %d\n");
}

}  // namespace
}  // namespace ksplice
