// Conditions on arguments, with types that are made here.
#include "apply/trace/tripwire.h"

#include <bpf/btf.h>
#include <gtest/gtest.h>

#include "objdiff/base/error.h"

namespace ksplice {
namespace {

// int f(struct file *file, size_t count, int mode, struct pair by_value, long behind)
// struct file { int; struct inner { u16 kind; } in; union { struct file *next; u64 raw; };
//               u32 low : 3; u32 high : 5; char name[8]; }
class TripwireTest : public testing::Test {
 protected:
  TripwireTest() : types_(btf__new_empty()) {
    const int integer = btf__add_int(types_, "int", 4, BTF_INT_SIGNED);
    const int size = btf__add_typedef(types_, "size_t", btf__add_int(types_, "ulong", 8, 0));
    const int u16 = btf__add_int(types_, "u16", 2, 0), u32 = btf__add_int(types_, "u32", 4, 0);
    const int chars = btf__add_array(types_, integer, integer, 8);
    const int inner = btf__add_struct(types_, "inner", 4);
    btf__add_field(types_, "pad", u16, 0, 0);
    btf__add_field(types_, "kind", u16, 16, 0);
    const int pair = btf__add_struct(types_, "pair", 16);
    btf__add_field(types_, "first", size, 0, 0);
    btf__add_field(types_, "second", size, 64, 0);
    const int next = btf__add_ptr(types_, inner + 7);  // to file, which comes then
    const int either = btf__add_union(types_, "", 8);
    btf__add_field(types_, "next", next, 0, 0);
    btf__add_field(types_, "raw", size, 0, 0);
    const int constant = btf__add_const(types_, 0);
    const int nothing = btf__add_ptr(types_, constant);
    const int unused = btf__add_ptr(types_, integer);
    EXPECT_EQ(unused, inner + 6);
    const int file = btf__add_struct(types_, "file", 40);
    EXPECT_EQ(file, inner + 7);
    btf__add_field(types_, "version", integer, 0, 0);
    btf__add_field(types_, "in", inner, 32, 0);
    btf__add_field(types_, "", either, 64, 0);
    btf__add_field(types_, "low", u32, 128, 3);
    btf__add_field(types_, "high", u32, 131, 5);
    btf__add_field(types_, "name", chars, 160, 0);
    const int pointer = btf__add_ptr(types_, file);
    const int prototype = btf__add_func_proto(types_, integer);
    btf__add_func_param(types_, "file", pointer);
    btf__add_func_param(types_, "count", size);
    btf__add_func_param(types_, "mode", integer);
    btf__add_func_param(types_, "data", nothing);
    btf__add_func_param(types_, "by_value", pair);
    btf__add_func_param(types_, "behind", size);
    btf__add_func(types_, "f", BTF_FUNC_STATIC, prototype);
    btf__add_func(types_, "twice", BTF_FUNC_STATIC, prototype);
    btf__add_func(types_, "twice", BTF_FUNC_STATIC, btf__add_func_proto(types_, integer));
    const int many = btf__add_func_proto(types_, 0);
    for (const char* name : {"a", "b", "c", "d", "e", "g", "h"})
      btf__add_func_param(types_, name, integer);
    btf__add_func(types_, "many", BTF_FUNC_STATIC, many);
  }
  ~TripwireTest() override { btf__free(types_); }

  Tripwire make(const std::string& condition) { return make_tripwire(types_, "f", condition); }

  std::string failure(const std::string& condition, const std::string& function = "f",
                      bool has_types = true) {
    try {
      make_tripwire(has_types ? types_ : nullptr, function, condition);
    } catch (const Error& error) {
      EXPECT_EQ(error.code, "bad_condition");
      const std::string text = error.what(), begin = " of " + function + ": ";
      return text.substr(text.find(begin) + begin.size());
    }
    return "made";
  }

  btf* types_;
};

TEST_F(TripwireTest, ParametersByNameAndNumber) {
  for (const char* condition : {"count > 4096", "arg2>0x1000", "  count  >4096 "}) {
    const Tripwire wire = make(condition);
    ASSERT_EQ(wire.code.terms, 1u);
    const trace_term& term = wire.code.term[0];
    EXPECT_EQ(term.argument, 1);
    EXPECT_EQ(term.steps, 0);
    EXPECT_EQ(term.size, 8);
    EXPECT_EQ(term.bits, 64);
    EXPECT_EQ(term.is_signed, 0);
    EXPECT_EQ(term.op, TRACE_GREATER);
    EXPECT_EQ(term.value, 4096u);
    EXPECT_EQ(term.is_first, 1);
  }
  const trace_term mode = make("mode <= -1").code.term[0];
  EXPECT_EQ(mode.size, 4);
  EXPECT_EQ(mode.is_signed, 1);
  EXPECT_EQ(mode.op, TRACE_LESS_OR_EQUAL);
  EXPECT_EQ(mode.value, UINT64_MAX);
  EXPECT_EQ(make("file == NULL").code.term[0].size, 8);
}

TEST_F(TripwireTest, WhatPointersLeadTo) {
  trace_term term = make("file->in.kind != 7").code.term[0];
  EXPECT_EQ(term.steps, 1);
  EXPECT_EQ(term.offsets[0], 6u);
  EXPECT_EQ(term.size, 2);
  term = make("file->next->next->version == -5").code.term[0];
  EXPECT_EQ(term.steps, 3);
  EXPECT_EQ(term.offsets[0], 8u);
  EXPECT_EQ(term.offsets[1], 8u);
  EXPECT_EQ(term.offsets[2], 0u);
  EXPECT_EQ(term.is_signed, 1);
}

TEST_F(TripwireTest, MembersOfBits) {
  const trace_term term = make("file->high == 31").code.term[0];
  EXPECT_EQ(term.offsets[0], 16u);
  EXPECT_EQ(term.size, 4);
  EXPECT_EQ(term.shift, 3);
  EXPECT_EQ(term.bits, 5);
  EXPECT_EQ(failure("file->high == 32"),
            "file->high is a number without sign of 5 bits, which is never 32");
}

TEST_F(TripwireTest, GroupsOfTerms) {
  const Tripwire wire = make("mode & 0x40 && count>=1||file!=NULL");
  ASSERT_EQ(wire.code.terms, 3u);
  EXPECT_EQ(wire.code.term[0].is_first, 1);
  EXPECT_EQ(wire.code.term[0].op, TRACE_BITS);
  EXPECT_EQ(wire.code.term[1].is_first, 0);
  EXPECT_EQ(wire.code.term[2].is_first, 1);
  EXPECT_EQ(wire.operands, (std::vector<std::string>{"mode", "count", "file"}));
  trace_event event = {};
  event.compared = 5;
  event.values[0] = 0xffffffffffffffc0;
  event.values[2] = 0xffff888000000000;
  EXPECT_EQ(values_text(wire, event), "mode = -64, file = 0xffff888000000000");
}

TEST_F(TripwireTest, SaysWhatIsWrong) {
  EXPECT_EQ(failure(""), "a parameter is missing at the end");
  EXPECT_EQ(failure("count"), "after 'count' there must be ==, !=, <, <=, >, >= or &");
  EXPECT_EQ(failure("count && mode"), "after 'count' there must be ==, !=, <, <=, >, >= or &");
  EXPECT_EQ(failure("count > "), "'' is no number of 64 bits");
  EXPECT_EQ(failure("count > x"), "'x' is no number of 64 bits");
  EXPECT_EQ(failure("count > 0x"), "'0x' is no number of 64 bits");
  EXPECT_EQ(failure("count > 18446744073709551616"),
            "'18446744073709551616' is no number of 64 bits");
  EXPECT_EQ(failure("count > 1 mode"), "before 'mode' there must be && or ||");
  EXPECT_EQ(failure("count > 1 &&"), "a parameter is missing at the end");
  EXPECT_EQ(failure("> 1"), "at '> 1' there must be a parameter");
  EXPECT_EQ(failure("nix > 1"),
            "it has no parameter 'nix', but: file, count, mode, data, by_value, behind");
  EXPECT_EQ(failure("arg7 > 1"), "it has no arg7, but 6 parameters");
  EXPECT_EQ(failure("h > 1", "many"), "h is not passed in a register, as only the first 6 are");
  EXPECT_EQ(failure("behind > 1"), "by_value is not passed in a register of its own");
  EXPECT_EQ(failure("by_value.first > 1"), "by_value is not passed in a register of its own");
  EXPECT_EQ(failure("file.version > 1"), "file is a pointer: its members are behind ->");
  EXPECT_EQ(failure("count->x > 1"), "count is no pointer");
  EXPECT_EQ(failure("mode.x > 1"), "mode is no structure of which the kernel tells the members");
  EXPECT_EQ(failure("data->x > 1"),
            "data points to no structure of which the kernel tells the members");
  EXPECT_EQ(failure("file->nix > 1"), "file has no member nix");
  EXPECT_EQ(failure("file-> > 1"), "after 'file' there must be a member");
  EXPECT_EQ(failure("file->name == 1"), "file->name is neither a number nor a pointer");
  EXPECT_EQ(failure("file->low.x == 1"), "file->low is no structure");
  EXPECT_EQ(failure("file->next->next->next->next->version == 1"),
            "it follows more than 4 pointers");
  EXPECT_EQ(failure("count < 0"), "count is a number without sign, which is never below 0");
  EXPECT_EQ(failure("count == -1"), "count is a number without sign of 64 bits, which is never -1");
  EXPECT_EQ(failure("mode == 0x80000000"),
            "mode is a signed number of 32 bits, which is never 0x80000000");
  EXPECT_EQ(failure("mode & 0"), "no bit of 0 is ever set");
  EXPECT_EQ(failure("a == 1", "twice"),
            "there are functions of that name with different parameters");
  std::string many = "count > 1";
  for (int i = 0; i < 8; ++i) many += " && count > 1";
  EXPECT_EQ(failure(many), "it has more than 8 comparisons");
}

TEST_F(TripwireTest, WithoutTypesThereAreNumbers) {
  const trace_term term = make_tripwire(nullptr, "f", "arg6 >= -2").code.term[0];
  EXPECT_EQ(term.argument, 5);
  EXPECT_EQ(term.bits, 64);
  EXPECT_EQ(term.is_signed, 1);
  EXPECT_EQ(failure("count > 1", "f", false),
            "the kernel tells no types of it, so there is no 'count' but only arg1 to arg6");
  EXPECT_EQ(failure("arg1->x > 1", "f", false), "the kernel tells no type of arg1");
  EXPECT_EQ(failure("arg7 > 1", "f", false),
            "arg7 is not passed in a register, as only the first 6 are");
}

TEST(TripwireText, NamesItsFunction) {
  EXPECT_EQ(split_tripwire("count > 1").function, "");
  EXPECT_EQ(split_tripwire("f: count > 1").function, "f");
  EXPECT_EQ(split_tripwire("ext4:f: count > 1").function, "ext4:f");
  EXPECT_EQ(split_tripwire("f: count > 1").condition, " count > 1");
}

}  // namespace
}  // namespace ksplice
