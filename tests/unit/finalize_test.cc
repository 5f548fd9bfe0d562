#include "objdiff/update/finalize.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstring>

#include "kmod-core/ksplice_abi.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"
#include "objdiff/object/elf_read.h"
#include "tests/unit/table_module.h"

namespace ksplice {
namespace {

using Content = std::vector<uint8_t>;

constexpr const char* Example = R"(
  .globl printk_static, tcp_hashinfo, __crc_known
  .set printk_static, 0
  .set tcp_hashinfo, 0
  .set __crc_known, 0x1234
  .file "unit.c"
  .text
  nop
  .section .ksplice.bytes, "a"
  .byte 0x90, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0x91
)";

class FinalizeTest : public testing::Test {
 protected:
  std::string assemble(const std::string& text) {
    write_file(dir_.path() / "in.s", text);
    std::string out = dir_.path() / "out.o";
    CommandResult result =
        run_command({KSPLICE_TEST_CC, "-c", "-o", out, (dir_.path() / "in.s").string()});
    EXPECT_EQ(result.status, 0) << result.output;
    return out;
  }
  Content example(const std::string& text = Example) { return read_file(assemble(text)); }

  Object parse(const Content& content) {
    std::string path = dir_.path() / "result.o";
    write_file(path, content);
    return read_object(path);
  }

  // Why finalization fails: code and message.
  std::string failure(const Content& ko, const Finalization& finalization) {
    try {
      finalize_module(ko, finalization, addresses_);
    } catch (const Error& error) {
      return error.code + ": " + error.what();
    }
    return "done";
  }

  TempDir dir_;
  HostAddresses addresses_ = [](const RunLocation& location) -> uint64_t {
    uint64_t base = location.target == "vmlinux" ? 0xffffffff9a000000 : 0xffffffffc0123000;
    return base + static_cast<uint64_t>(location.offset);
  };
  Finalization both_ = {{{"printk_static", {"vmlinux", "", "", 0x1000, false}},
                         {"tcp_hashinfo", {"tcp_mod", ".data", "", 0x20, false}}},
                        {}};
};

TEST_F(FinalizeTest, FillsInSymbolsAndNothingElse) {
  Content before = example();
  Content after = finalize_module(before, both_, addresses_);
  ASSERT_EQ(after.size(), before.size());
  Object object = parse(after);
  EXPECT_EQ(object.find_symbol("printk_static")->value, 0xffffffff9a001000u);
  EXPECT_EQ(object.find_symbol("tcp_hashinfo")->value, 0xffffffffc0123020u);
  EXPECT_EQ(object.find_symbol("__crc_known")->value, 0x1234u);
  size_t different = 0;
  for (size_t i = 0; i < before.size(); ++i) different += before[i] != after[i];
  EXPECT_LE(different, 16u);
}

TEST_F(FinalizeTest, FillsInFields) {
  Finalization finalization = both_;
  FinalField relative;
  relative.offset = 1;
  relative.size = 4;
  relative.pc_relative = true;
  relative.target = {"vmlinux", "", "", 0x5000, false};
  relative.addend = -4;
  relative.place = {"vmlinux", "", "", 0x1001, false};
  FinalField absolute;
  absolute.offset = 7;
  absolute.size = 8;
  absolute.target = {"mod", ".text", "", 0x10, false};
  absolute.addend = 2;
  finalization.fields = {relative, absolute};
  Object object = parse(finalize_module(example(), finalization, addresses_));
  Content expected = {0x90, 0xfb, 0x3f, 0,    0,    5,    6,    0x12,
                      0x30, 0x12, 0xc0, 0xff, 0xff, 0xff, 0xff, 0x91};
  EXPECT_EQ(object.find_section(".ksplice.bytes")->data, expected);
}

TEST_F(FinalizeTest, AbsoluteFieldsOfFourBytesMayBeSigned) {
  Finalization finalization = both_;
  FinalField field;
  field.target = {"vmlinux", "", "", 0x42, false};
  finalization.fields = {field};
  Object object = parse(finalize_module(example(), finalization, addresses_));
  EXPECT_EQ(object.find_section(".ksplice.bytes")->data[3], 0x9a);
}

TEST_F(FinalizeTest, RefusesValuesThatDoNotFit) {
  Finalization finalization = both_;
  FinalField field;
  field.size = 1;
  field.target = {"vmlinux", "", "", 0, false};
  finalization.fields = {field};
  EXPECT_EQ(
      failure(example(), finalization),
      "unexpected: value 0xffffffff9a000000 does not fit in the 1 bytes at .ksplice.bytes+0x0");
}

TEST_F(FinalizeTest, RefusesFieldsOutside) {
  for (uint64_t offset : {uint64_t{13}, uint64_t{16}, uint64_t{1} << 40, UINT64_MAX}) {
    Finalization finalization = both_;
    FinalField field;
    field.offset = offset;
    field.target = {"vmlinux", "", "", 0, false};
    finalization.fields = {field};
    EXPECT_NE(failure(example(), finalization).find("is outside the 0x10 bytes"), std::string::npos)
        << offset;
  }
}

TEST_F(FinalizeTest, RefusesSymbolThatIsNotThere) {
  Finalization finalization = both_;
  finalization.symbols.push_back({"missing", {"vmlinux", "", "", 0, false}});
  EXPECT_EQ(failure(example(), finalization),
            "bad_file: update module: absolute symbol missing is not there");
}

TEST_F(FinalizeTest, RefusesSymbolThatIsNotAbsolute) {
  Finalization finalization = both_;
  finalization.symbols.push_back({"local_code", {"vmlinux", "", "", 0, false}});
  EXPECT_EQ(failure(example(std::string(Example) + "  .text\nlocal_code: ret\n"), finalization),
            "bad_file: update module: absolute symbol local_code is not there");
}

TEST_F(FinalizeTest, RefusesAbsoluteSymbolThatNobodyExplains) {
  Finalization finalization = both_;
  finalization.symbols.pop_back();
  EXPECT_EQ(failure(example(), finalization),
            "bad_file: update module: absolute symbol tcp_hashinfo has no value and nothing says "
            "what it is");
}

TEST_F(FinalizeTest, RefusesListWithASymbolTwice) {
  Finalization finalization = both_;
  finalization.symbols.push_back(finalization.symbols[0]);
  EXPECT_EQ(failure(example(), finalization),
            "bad_file: update module: symbol printk_static is to be filled in twice");
}

TEST_F(FinalizeTest, RefusesRelocationsThatStripSpoilt) {
  std::string defined = assemble(".globl callee\n.set callee, 0\n");
  std::filesystem::rename(defined, dir_.path() / "defined.o");
  std::string caller = assemble(".text\ncall callee\n");
  std::string linked = dir_.path() / "linked.o";
  ASSERT_EQ(run_command({"ld", "-r", "-o", linked, caller, dir_.path() / "defined.o"}).status, 0);
  Finalization callee = {{{"callee", {"vmlinux", "", "", 0x1000, false}}}, {}};
  EXPECT_EQ(failure(read_file(linked), callee), "done");
  ASSERT_EQ(run_command({"strip", "--strip-debug", linked}).status, 0);
  EXPECT_EQ(failure(read_file(linked), callee),
            "bad_file: update module: a relocation in .rela.text has lost its symbol");
}

TEST_F(FinalizeTest, RefusesMissingSection) {
  Finalization finalization = both_;
  FinalField field;
  field.target = {"vmlinux", "", "", 0, false};
  finalization.fields = {field};
  std::string text = Example;
  text.replace(text.find(".ksplice.bytes"), 14, ".other");
  EXPECT_EQ(failure(example(text), finalization),
            "bad_file: update module: section .ksplice.bytes is not there");
}

TEST_F(FinalizeTest, PassesOnWhatTheHostDoesNotTell) {
  addresses_ = [](const RunLocation&) -> uint64_t { throw Error("failed_to_find", "no address"); };
  EXPECT_EQ(failure(example(), both_), "failed_to_find: no address");
}

TEST_F(FinalizeTest, DamagedFilesAreRefusedNotRead) {
  Content whole = example();
  for (size_t length = 0; length < whole.size(); length += 7)
    EXPECT_NE(failure(Content(whole.begin(), whole.begin() + static_cast<long>(length)), both_),
              "done");
  // One byte of the headers at a time: an error or a result, never a read outside.
  for (size_t place = 0; place < whole.size(); ++place) {
    Content altered = whole;
    altered[place] ^= 0x80;
    failure(altered, both_);
  }
}

constexpr const char* ObjectText = R"(
  .data
  .quad 7
  .globl ksplice_update_object
ksplice_update_object:
  .long {}, 1
  .zero {}
)";

TEST_F(FinalizeTest, SetsTheObjectCount) {
  size_t rest = sizeof(ksplice_object) - 8;
  Content ko = example(fmt::format(fmt::runtime(ObjectText), KSPLICE_ABI_VERSION, rest));
  Object object = parse(set_object_count(ko, 3));
  Content expected(8 + sizeof(ksplice_object));
  expected[0] = 7;
  expected[8] = KSPLICE_ABI_VERSION;
  expected[12] = 3;
  EXPECT_EQ(object.find_section(".data")->data, expected);
}

TEST_F(FinalizeTest, ObjectTableMustBeWholeAndKnown) {
  size_t rest = sizeof(ksplice_object) - 8;
  for (const auto& [version, size] :
       {std::pair<int, size_t>{KSPLICE_ABI_VERSION, rest - 1}, {KSPLICE_ABI_VERSION + 1, rest}})
    EXPECT_THROW(set_object_count(example(fmt::format(fmt::runtime(ObjectText), version, size)), 1),
                 Error);
  EXPECT_THROW(set_object_count(example("nop\n"), 1), Error);
}

// Two functions of one name: only the symbols behind their runs tell them apart.
TEST_F(FinalizeTest, ReplacedFunctionsByTheirEntries) {
  const TableSource twins = {{"twice", "twice"}, {"twice", "twice.1"}};
  const Content ko = table_module(dir_.path(), twins);
  const std::vector<ReplacedFunction> found = replaced_functions(ko);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].name, "twice");
  EXPECT_EQ(found[0].symbol, "twice");
  EXPECT_EQ(found[1].name, "twice");
  EXPECT_EQ(found[1].symbol, "twice.1");
  EXPECT_THROW(replaced_functions(example()), Error);
  // One byte at a time: an error or a result, never a read outside.
  for (size_t place = 0; place < ko.size(); ++place) {
    Content altered = ko;
    altered[place] ^= 0x80;
    try {
      replaced_functions(altered);
    } catch (const Error&) {
    }
  }
}

// --- the JSON text

std::string json_failure(const std::string& text) {
  try {
    read_finalization(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "bad_file");
    return error.what();
  }
  return "done";
}

TEST(FinalizationJson, ReadsBackWhatWasWritten) {
  Finalization finalization;
  finalization.symbols = {{"a", {"vmlinux", "", "", -5, true}},
                          {"b", {"tcp_mod", ".text", "", 16, false}},
                          {"c", {"tcp_mod", "", "kfree", 0, false}}};
  FinalField field;
  field.offset = 12;
  field.size = 8;
  field.pc_relative = true;
  field.target = {"vmlinux", "", "", 7, false};
  field.addend = -4;
  field.place = {"tcp_mod", ".text", "", 9, false};
  finalization.fields = {field};
  std::string text = write_finalization(finalization);
  Finalization read = read_finalization(text);
  ASSERT_EQ(read.symbols.size(), 3u);
  EXPECT_EQ(read.symbols[0].location.offset, -5);
  EXPECT_TRUE(read.symbols[0].location.percpu);
  EXPECT_EQ(read.symbols[1].location.section, ".text");
  EXPECT_EQ(read.symbols[2].location.import, "kfree");
  ASSERT_EQ(read.fields.size(), 1u);
  EXPECT_EQ(read.fields[0].place.offset, 9);
  EXPECT_EQ(read.fields[0].addend, -4);
  EXPECT_EQ(write_finalization(read), text);
}

TEST(FinalizationJson, RefusesMalformedText) {
  EXPECT_NE(json_failure("{").find("finalization: "), std::string::npos);
  EXPECT_EQ(json_failure("[]"), "finalization: the file is not an object");
  EXPECT_EQ(json_failure("{\"symbols\":[]}"), "finalization: no list \"fields\"");
  EXPECT_EQ(json_failure("{\"symbols\":[],\"fields\":[],\"more\":1}"),
            "finalization: the file has the unknown key \"more\"");
  auto with_symbol = [](const std::string& symbol) {
    return json_failure("{\"symbols\":[" + symbol + "],\"fields\":[]}");
  };
  EXPECT_EQ(with_symbol("7"), "finalization: symbol 0 is not an object");
  EXPECT_EQ(with_symbol("{\"name\":\"a\",\"target\":\"vmlinux\"}"),
            "finalization: symbol 0 has no number offset");
  EXPECT_EQ(with_symbol("{\"name\":\"a\",\"target\":\"vmlinux\",\"offset\":1.5}"),
            "finalization: symbol 0 has no number offset");
  EXPECT_EQ(with_symbol("{\"name\":\"a\",\"target\":\"vmlinux\",\"offset\":18446744073709551615}"),
            "finalization: symbol 0 has no number offset");
  EXPECT_EQ(with_symbol("{\"name\":\"\",\"target\":\"vmlinux\",\"offset\":1}"),
            "finalization: symbol 0 has an empty name");
  EXPECT_EQ(with_symbol("{\"name\":\"a\",\"target\":\"vmlinux\",\"offset\":1,\"percpu\":1}"),
            "finalization: symbol 0: percpu is not true or false");
  auto with_field = [](const std::string& field) {
    return json_failure("{\"symbols\":[],\"fields\":[" + field + "]}");
  };
  std::string place = "{\"target\":\"vmlinux\",\"offset\":1}";
  EXPECT_EQ(with_field("{\"offset\":0,\"size\":2,\"target\":" + place + "}"),
            "finalization: field 0 has size 2");
  EXPECT_EQ(with_field("{\"offset\":-1,\"size\":4,\"target\":" + place + "}"),
            "finalization: field 0 has a negative offset");
  EXPECT_EQ(with_field("{\"offset\":0,\"size\":4,\"pcrel\":true,\"target\":" + place + "}"),
            "finalization: field 0 has no place");
  EXPECT_NE(json_failure(std::string(100000, '[')), "done");
}

}  // namespace
}  // namespace ksplice
