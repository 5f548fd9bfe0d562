// Units, what new code is the first to call, and functions with other parameters: for the core,
// which compares them with other updates (kmod-core/independent.c).
#include <cstring>
#include <set>

#include "kmod-core/ksplice_abi.h"
#include "tests/unit/update_samples.h"

namespace ksplice::test {

namespace {

ksplice_object head_of(const UpdateObject& update) {
  ksplice_object head;
  std::memcpy(&head, update.object.find_section(".ksplice.object")->data.data(), sizeof head);
  return head;
}

// Names of the callees, as the relocations of their table have them.
std::set<std::string> callees(const UpdateObject& update) {
  std::set<std::string> names;
  const Section* table = update.object.find_section(".ksplice.callees");
  if (table == nullptr) return names;
  for (const Relocation& relocation : table->relocations)
    if (relocation.offset % sizeof(ksplice_callee) == offsetof(ksplice_callee, addr))
      names.insert(relocation.symbol->name);
  EXPECT_EQ(head_of(update).nr_callees, names.size());
  EXPECT_EQ(table->size, names.size() * sizeof(ksplice_callee));
  return names;
}

std::string changed(const std::string& from, const std::string& to) {
  std::string text = Pre;
  text.replace(text.find(from), from.size(), to);
  return text;
}

// Names of the units.
std::vector<std::string> units(const UpdateObject& update) {
  std::vector<std::string> names;
  const Section* table = update.object.find_section(".ksplice.units");
  const Section* strings = update.object.find_section(".ksplice.strings");
  if (table != nullptr)
    for (const Relocation& relocation : table->relocations)
      names.emplace_back(reinterpret_cast<const char*>(strings->data.data()) + relocation.addend);
  EXPECT_EQ(head_of(update).nr_units, names.size());
  return names;
}

uint64_t flags_of_the_function(const UpdateObject& update) {
  ksplice_function function;
  std::memcpy(&function, update.object.find_section(".ksplice.functions")->data.data(),
              sizeof function);
  return function.flags;
}

}  // namespace

TEST(UpdateIndependent, WhatIsCalledAsBeforeIsNone) {
  const Made made = make(changed("pre %d", "post %d"));
  ASSERT_TRUE(made.update.refusals.empty());
  EXPECT_EQ(callees(made.update), std::set<std::string>());
  EXPECT_EQ(head_of(made.update).nr_callees, 0u);
  EXPECT_EQ(flags_of_the_function(made.update), 0u);
  EXPECT_EQ(units(made.update), std::vector<std::string>({"unit.o"}));
}

TEST(UpdateIndependent, WhatAFunctionIsTheFirstToCall) {
  const Made made = make(changed("return helper(x + 1) * 2", "return helper(x + 1) * hidden(2)"));
  ASSERT_TRUE(made.update.refusals.empty());
  EXPECT_EQ(callees(made.update), std::set<std::string>({"hidden"}));
}

TEST(UpdateIndependent, WhatANewFunctionCallsOrHandsOn) {
  std::string post = changed("return helper(x) +", "return helper(x) + fresh(x) +");
  post.insert(post.find("int target"),
              "__attribute__((noinline)) static int fresh(int x) { return hidden(x) + "
              "exported((const char*)&exported); }\n");
  const Made made = make(post);
  ASSERT_TRUE(made.update.refusals.empty());
  // The ftrace site of a new function is a call, too.
  EXPECT_EQ(callees(made.update), std::set<std::string>({"__fentry__", "exported", "hidden"}));
}

TEST(UpdateIndependent, OtherParametersAreAFlag) {
  const Made made = make(changed("int other(int x) { return helper(x + 1)",
                                 "int other(int x, int y) { return helper(x + y)"));
  ASSERT_TRUE(made.update.refusals.empty());
  EXPECT_EQ(flags_of_the_function(made.update), uint64_t{KSPLICE_FUNCTION_RESHAPED});
}

}  // namespace ksplice::test
