// Types in the debug information of small objects against BTF that pahole makes, as for a kernel.
#include "objdiff/image/run_types.h"

#include <gtest/gtest.h>

#include "objdiff/base/file.h"
#include "objdiff/base/process.h"
#include "objdiff/object/elf_read.h"

namespace ksplice {
namespace {

// One of everything whose form differs between DWARF and BTF.
const char* const Source = R"(
#include "shared.h"
typedef int row[3];
struct small { char c; long l; };
enum colour { RED = 159, BLUE = -97 };
enum grey { GREY = 0x80000000 } grey;
enum { LIMIT = 4096 };
typedef struct { int first, second; } node;
struct big {
  struct small one[2];
  int grid[2][3];
  row rows[2];
  const struct { unsigned a : 3, b : 5; _Bool flag : 1; } bits;
  union { long number; struct { short low, high; }; };
  enum colour colour;
  int (*call)(struct big*, int);
  struct shared *shared, *const list[3];
  volatile double ratio;
  struct { short key, value; } *slots, few[2];
  node *node;
  char tail[];
} big;
int limit(void) { return big.grid[1][2] + LIMIT + SHARED_B; }
)";
const char* const Header =
    "struct shared { int x, y; }; enum { SHARED_A, SHARED_B };\n"
    "extern struct shared shared_one;\n";

class RunTypesTest : public testing::Test {
 protected:
  void run(const std::vector<std::string>& argv) {
    CommandResult result = run_command(argv, {.directory = dir_.path(), .env = {}, .input = ""});
    ASSERT_EQ(result.status, 0) << result.output;
  }

  Object compile(const std::string& source, const std::string& header) {
    std::filesystem::create_directories(dir_.path() / "include");
    write_file(dir_.path() / "include/shared.h", header);
    write_file(dir_.path() / "unit.c", source);
    run({"gcc", "-g", "-O2", "-Iinclude", "-c", "unit.c"});
    return read_object((dir_.path() / "unit.o").string());
  }

  // The image of what compile() made last.
  RunImage image(const std::vector<std::string>& base = {}) {
    std::vector<std::string> argv = {"pahole", "--btf_gen_floats", "--btf_encode_detached=btf"};
    argv.insert(argv.end(), base.begin(), base.end());
    argv.push_back("unit.o");
    run(argv);
    RunImage image;
    image.path = "vmlinux";
    image.btf = read_file(dir_.path() / "btf");
    return image;
  }

  // The code and message of the refusal, with the first from of the source replaced by to.
  std::string message(const std::string& from, const std::string& to) {
    compile(Source, Header);
    const RunTypes types(image());
    std::string source = Source, header = Header;
    std::string& text = source.find(from) != std::string::npos ? source : header;
    EXPECT_NE(text.find(from), std::string::npos) << from;
    text.replace(text.find(from), from.size(), to);
    auto refusal = check_types(compile(source, header), nullptr, types);
    return refusal ? refusal->code + " " + refusal->message : "";
  }

  TempDir dir_;
};

TEST_F(RunTypesTest, TheSameSourceHasTheSameTypes) {
  EXPECT_EQ(message("limit", "other_name"), "");
  compile(Source, Header);
  const RunTypes types(image());
  ASSERT_TRUE(types.present());
  ASSERT_EQ(types.layouts("struct big").size(), 1u);
  EXPECT_EQ(types.layouts("struct big")[0].members.size(), 24u);
  EXPECT_EQ(types.values("RED"), std::set<int64_t>{159});
  EXPECT_EQ(types.values("BLUE"), std::set<int64_t>{-97});
  EXPECT_TRUE(types.values("no_such").empty());
}

TEST_F(RunTypesTest, EveryOtherLayoutIsRefused) {
  EXPECT_EQ(
      message("int x, y;", "char x, y;"),
      "wrong_type struct shared of the source is not the running kernel's: member x was int "
      "of 4 bytes and is int of 1 bytes; member y moved from bit 32 to bit 8; its size changed "
      "from 8 to 2 bytes");
  for (const auto& [from, to] :
       std::map<std::string, std::string>{{"grid[2][3]", "grid[3][3]"},
                                          {"row[3]", "row[4]"},
                                          {"a : 3, b : 5", "a : 4, b : 4"},
                                          {"_Bool flag : 1;", ""},
                                          {"short low, high;", "int low, high;"},
                                          {"long number;", "long number[2];"},
                                          {"*const list[3]", "list[3]"},
                                          {"volatile double", "volatile float"},
                                          {"short key, value", "short value, key"},
                                          {"few[2]", "few[3]"},
                                          {"enum colour colour;", "long colour;"}})
    EXPECT_EQ(message(from, to).rfind("wrong_type struct big of the source", 0), 0u) << from;
}

TEST_F(RunTypesTest, AnUnnamedStructureGoesByItsTypedef) {
  EXPECT_EQ(message("int first, second", "int second, first"),
            "wrong_type node of the source is not the running kernel's: member first moved from "
            "bit 0 to bit 32; member second moved from bit 32 to bit 0");
}

TEST_F(RunTypesTest, OtherConstantsAreRefused) {
  EXPECT_EQ(message("LIMIT = 4096", "LIMIT = 4095"),
            "wrong_type the constant LIMIT is 4095 in the source and 4096 in the running kernel");
  EXPECT_EQ(message("BLUE = -97", "BLUE = 97"),
            "wrong_type the constant BLUE is 97 in the source and -97 in the running kernel");
  EXPECT_EQ(message("GREY = 0x80000000", "GREY = 0x80000001").rfind("wrong_type the constant", 0),
            0u);
  EXPECT_EQ(message("SHARED_A, SHARED_B", "SHARED_B").rfind("wrong_type the constant", 0), 0u);
}

TEST_F(RunTypesTest, OneOfSeveralPrivateTypesOfANameIsEnough) {
  const std::string a = "struct node { int a; } node_a;\n",
                    b = "struct node { long b[2]; } node_b;\n";
  write_file(dir_.path() / "a.c", a);
  write_file(dir_.path() / "b.c", b);
  run({"gcc", "-g", "-c", "a.c", "b.c"});
  run({"ld", "-r", "-o", "unit.o", "a.o", "b.o"});
  const RunTypes types(image());
  EXPECT_EQ(types.layouts("struct node").size(), 2u);
  EXPECT_FALSE(check_types(compile(a, ""), nullptr, types));
  EXPECT_FALSE(check_types(compile(b, ""), nullptr, types));
  EXPECT_TRUE(check_types(compile("struct node { long b[3]; } node_c;\n", ""), nullptr, types));
}

TEST_F(RunTypesTest, WhatAPatchIsFirstToUseComesFromHeaders) {
  compile("struct shared { long x; } s; struct own { int a; } o; enum { SHARED_B = 7 } e;", "");
  const RunTypes types(image());
  const Object pre = compile("int f(void) { return 0; }\n", "");
  // The types of the patch's own file are its own.
  const Object own = compile("struct own { long b; } o; enum { SHARED_B = 1 } e;\n", "");
  EXPECT_FALSE(check_types(pre, &own, types));
  const Object user =
      compile("#include \"shared.h\"\nint f(void) { return shared_one.y; }\n", Header);
  auto refusal = check_types(pre, &user, types);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->code, "wrong_type");
  EXPECT_EQ(refusal->symbol, "struct shared");
  EXPECT_EQ(refusal->found, "include/shared.h:1");
  const Object constant =
      compile("#include \"shared.h\"\nint f(void) { return SHARED_B; }\n", Header);
  refusal = check_types(pre, &constant, types);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->symbol, "SHARED_B");
}

TEST_F(RunTypesTest, AModuleHasTheKernelsTypesAndItsOwn) {
  compile(Source, Header);
  const RunTypes kernel(image());
  std::filesystem::rename(dir_.path() / "btf", dir_.path() / "base");
  const std::string module =
      std::string(Source) + "struct own { struct small s; int n; } own_one;\n";
  const Object pre = compile(module, Header);
  const RunTypes types(image({"--btf_base=base"}), &kernel);
  ASSERT_TRUE(types.present());
  EXPECT_TRUE(kernel.layouts("struct own").empty());
  EXPECT_EQ(types.layouts("struct own").size(), 1u);
  EXPECT_EQ(types.layouts("struct small").size(), 1u);
  EXPECT_FALSE(check_types(pre, nullptr, types));
  std::string other = module;
  other.replace(other.find("int n;"), 6, "int n, m;");
  EXPECT_TRUE(check_types(compile(other, Header), nullptr, types));
}

// As pahole writes it for a module that is built apart from the kernel: few types, in another order
// than the kernel's.
TEST_F(RunTypesTest, AModuleMayBringTheTypesAlongThatItCountsOnFrom) {
  compile(Source, Header);
  const RunTypes kernel(image());
  compile("char c; int i; struct small { char c; long l; } small;\n", Header);
  const std::vector<uint8_t> base = image().btf;
  std::filesystem::rename(dir_.path() / "btf", dir_.path() / "base");
  const std::string module =
      "struct small { char c; long l; };\nstruct own { struct small s; int n; } own_one;\n";
  const Object pre = compile(module, Header);
  RunImage with_base = image({"--btf_base=base"});
  with_base.btf_base = base;
  const RunTypes types(with_base, &kernel);
  ASSERT_EQ(types.layouts("struct own").size(), 1u);
  EXPECT_FALSE(check_types(pre, nullptr, types));
  std::string other = module;
  other.replace(other.find("int n;"), 6, "int n, m;");
  EXPECT_TRUE(check_types(compile(other, Header), nullptr, types));
}

TEST_F(RunTypesTest, OfAModuleWithoutBtfOnlySharedHeadersAreCompared) {
  compile(Source, Header);
  const RunTypes kernel(image()), types(RunImage{}, &kernel);
  EXPECT_FALSE(types.present());
  EXPECT_FALSE(check_types(compile("struct small { char mine[9]; } s;\n", Header), nullptr, types));
  EXPECT_TRUE(
      check_types(compile("#include \"shared.h\"\n", "struct shared { int x; } shared_one;\n"),
                  nullptr, types));
  const RunTypes none{RunImage{}};
  EXPECT_FALSE(check_types(compile(Source, Header), nullptr, none));
}

TEST_F(RunTypesTest, DamagedBtfIsAnError) {
  compile(Source, Header);
  RunImage broken = image();
  broken.btf.resize(broken.btf.size() / 2);
  EXPECT_THROW(RunTypes{broken}, Error);
}

}  // namespace
}  // namespace ksplice
