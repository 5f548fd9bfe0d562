// Reader and writer: a real compiler's object survives a round trip; damaged files are errors.
#include <elf.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <tuple>

#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/base/process.h"
#include "objdiff/object/elf_read.h"
#include "objdiff/object/elf_write.h"

namespace ksplice {
namespace {

const char* const Source = R"(
extern int outside(const char*);
static int counter = 5;
int table[4] = {1, 2, 3, 4};
char zeros[100];
int* pointer = &counter;
int count(int x) { return outside("a string") + counter++ + table[x & 3] + zeros[x & 7]; }
)";

std::vector<uint8_t> compile(const TempDir& dir) {
  write_file(dir.path() / "a.c", std::string_view(Source));
  CommandResult result = run_command({"gcc", "-O2", "-g", "-mcmodel=kernel", "-fno-pic",
                                      "-ffunction-sections", "-fdata-sections", "-c", "a.c"},
                                     {.directory = dir.path(), .env = {}, .input = ""});
  EXPECT_EQ(result.status, 0) << result.output;
  return read_file(dir.path() / "a.o");
}

using Facts = std::set<std::tuple<std::string, uint64_t, std::string, std::string, int64_t>>;

// Everything that an object says, without indices.
Facts facts(const Object& object) {
  Facts result;
  for (const auto& section : object.sections) {
    result.insert({section->name, section->flags,
                   std::string(section->data.begin(), section->data.end()), "section",
                   static_cast<int64_t>(section->size)});
    for (const Relocation& relocation : section->relocations)
      result.insert({section->name, relocation.offset, relocation.symbol->name,
                     "relocation " + std::to_string(relocation.type), relocation.addend});
  }
  for (const auto& symbol : object.symbols)
    result.insert({symbol->name, symbol->value,
                   symbol->section != nullptr ? symbol->section->name : "",
                   "symbol " + std::to_string(symbol->bind * 16 + symbol->type),
                   static_cast<int64_t>(symbol->size)});
  return result;
}

TEST(Elf, RoundTripKeepsEverything) {
  TempDir dir;
  Object first = read_object(compile(dir), "a.o");
  ASSERT_NE(first.find_symbol("count"), nullptr);
  EXPECT_EQ(first.find_symbol("count")->section->name, ".text.count");
  EXPECT_EQ(first.find_symbol("outside"), nullptr);
  std::vector<uint8_t> written = write_object(first);
  Object second = read_object(written, "written");
  EXPECT_EQ(facts(first), facts(second));
  EXPECT_EQ(written, write_object(first));
  write_file(dir.path() / "b.o", written);
  CommandResult link = run_command({"ld", "-r", "-o", "c.o", "b.o"},
                                   {.directory = dir.path(), .env = {}, .input = ""});
  EXPECT_EQ(link.status, 0) << link.output;
}

TEST(Elf, EveryTruncationIsAnError) {
  TempDir dir;
  std::vector<uint8_t> image = compile(dir);
  for (size_t length = 0; length < image.size(); length += 61) {
    std::vector<uint8_t> cut(image.begin(), image.begin() + static_cast<long>(length));
    EXPECT_THROW(read_object(cut, "cut"), Error) << length;
  }
}

TEST(Elf, ForeignMachineIsNamed) {
  TempDir dir;
  std::vector<uint8_t> image = compile(dir);
  image[offsetof(Elf64_Ehdr, e_machine)] = EM_AARCH64;
  try {
    read_object(image, "arm.o");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "bad_file");
    EXPECT_NE(std::string(error.what()).find("arm.o"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("machine 183"), std::string::npos);
  }
}

}  // namespace
}  // namespace ksplice
