// What a function returns, by types that are made here.
#include "apply/trace/result_type.h"

#include <bpf/btf.h>
#include <gtest/gtest.h>

#include "apply/trace/trace_abi.h"

namespace ksplice {
namespace {

class ResultTypeTest : public testing::Test {
 protected:
  ~ResultTypeTest() override { btf__free(types_); }

  void add(const char* name, int result) {
    const int prototype = btf__add_func_proto(types_, result);
    ASSERT_GT(btf__add_func(types_, name, BTF_FUNC_STATIC, prototype), 0);
  }

  btf* types_ = btf__new_empty();
};

TEST_F(ResultTypeTest, KnowsWhatTheTypesSay) {
  const int integer = btf__add_int(types_, "int", 4, BTF_INT_SIGNED);
  const int size = btf__add_int(types_, "unsigned long", 8, 0);
  const int name = btf__add_typedef(types_, "err_t", btf__add_const(types_, integer));
  add("f_int", name);
  add("f_size", size);
  add("f_void", 0);
  add("f_pointer", btf__add_ptr(types_, integer));
  add("f_struct", btf__add_struct(types_, "pair", 8));
  EXPECT_EQ(result_type(types_, "f_int"),
            (ResultType{.is_known = true, .is_signed = true, .size = 4}));
  EXPECT_EQ(result_type(types_, "f_size"), (ResultType{.is_known = true, .size = 8}));
  EXPECT_EQ(result_type(types_, "f_void"),
            (ResultType{.is_known = true, .is_void = true, .size = 0}));
  EXPECT_EQ(result_type(types_, "f_pointer"), (ResultType{.is_known = true, .is_pointer = true}));
  EXPECT_FALSE(result_type(types_, "f_struct").is_known);
  EXPECT_FALSE(result_type(types_, "f_none").is_known);
}

TEST_F(ResultTypeTest, TakesNoneOfSeveral) {
  const int integer = btf__add_int(types_, "int", 4, BTF_INT_SIGNED);
  add("same", integer);
  add("same", integer);
  add("two", integer);
  add("two", 0);
  EXPECT_TRUE(result_type(types_, "same").is_known);
  EXPECT_FALSE(result_type(types_, "two").is_known);
}

TEST(ResultText, SaysWhatAValueMeans) {
  const ResultType integer = {.is_known = true, .is_signed = true, .size = 4};
  const ResultType size = {.is_known = true, .size = 8};
  const ResultType pointer = {.is_known = true, .is_pointer = true};
  EXPECT_EQ(result_text(integer, -22), "-22 (EINVAL)");
  EXPECT_EQ(result_text(integer, -512), "-512");  // ERESTARTSYS has no name in user space
  EXPECT_EQ(result_text(integer, 17), "17");
  EXPECT_EQ(result_text(size, -1), "18446744073709551615");
  EXPECT_EQ(result_text(pointer, 0), "NULL");
  EXPECT_EQ(result_text(pointer, -12), "-12 (ENOMEM)");
  EXPECT_EQ(result_text(pointer, TRACE_A_POINTER), "a pointer");
  EXPECT_EQ(result_text({}, -2), "-2 (ENOENT)");
  EXPECT_EQ(result_text({}, 0xffffffea), "4294967274, or as an int -22 (EINVAL)");
  EXPECT_EQ(result_text({}, static_cast<int64_t>(0xffff888001234000)), "0xffff888001234000");
}

}  // namespace
}  // namespace ksplice
