// An update object that replaces nothing: it compares functions with the running kernel.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "kmod-core/ksplice_abi.h"
#include "tests/unit/update_samples.h"

namespace ksplice {
namespace {

using namespace test;

TEST(CheckObject, ListsEveryMatchedFunctionAndReplacesNone) {
  Made made = make(replaced("pre %d", "post %d"));
  Unit unit{"unit.o", &made.pre, nullptr, nullptr, &made.match};
  UpdateObject check = make_check_object({unit}, made.image, made.image, {"abc", "text", 1});
  EXPECT_EQ(std::set(check.replaced.begin(), check.replaced.end()),
            (std::set<std::string>{"helper", "target", "other"}));
  EXPECT_EQ(check.object.find_section(".ksplice.runs")->size, 3 * sizeof(ksplice_run));
  ksplice_object head;
  std::memcpy(&head, check.object.find_section(".ksplice.object")->data.data(), sizeof head);
  EXPECT_EQ(head.nr_runs, 3u);
  EXPECT_EQ(head.nr_functions, 0u);
}

TEST(CheckObject, LeavesOutWhatStandsBeforeFunctions) {
  const std::string with_padding =
      std::string(Pre) + "__attribute__((noinline)) int __pfx_other(int x) { return hidden(x); }\n";
  Made made = make(with_padding, with_padding);
  EXPECT_TRUE(std::any_of(
      made.match.functions.begin(), made.match.functions.end(), [](const FunctionMatch& match) {
        return match.pre->name == "__pfx_other" && match.status == MatchStatus::Matched;
      }));
  Unit unit{"unit.o", &made.pre, nullptr, nullptr, &made.match};
  UpdateObject check = make_check_object({unit}, made.image, made.image, {"abc", "text", 1});
  EXPECT_EQ(std::set(check.replaced.begin(), check.replaced.end()),
            (std::set<std::string>{"helper", "target", "other"}));
}

}  // namespace
}  // namespace ksplice
