#include "create/consent.h"

#include <gtest/gtest.h>

namespace ksplice {
namespace {

// A unit of target in which start() changes, and a function that stays with it.
std::deque<ChangedUnit> units_of(const std::string& target, const std::string& misled) {
  std::deque<ChangedUnit> units(1);
  units.front().name = "a.o";
  units.front().target = target;
  FunctionDiff start, other;
  start.name = "start";
  start.section = ".init.text";
  start.status = other.status = DiffStatus::Changed;
  start.misled = misled;
  other.name = "other";
  other.section = ".text";
  units.front().diff.functions = {start, other};
  return units;
}

// What is left of the refusal of start().
std::vector<Refusal> settled(std::deque<ChangedUnit> units) {
  Options options;
  options.leave_out_init = true;
  Refusal refusal;
  refusal.code = "init_changed";
  refusal.object = "a.o";
  refusal.symbol = "start";
  std::vector<Refusal> refusals = {refusal};
  settle_consent(options, units, refusals);
  return refusals;
}

TEST(Consent, StartCodeOfAModuleThatWouldCallWronglyIsNotLeftOut) {
  const auto refusals = settled(units_of("m", "reset"));
  ASSERT_EQ(refusals.size(), 1U);
  EXPECT_NE(refusals.front().advice.find("calls reset, which takes other parameters"),
            std::string::npos)
      << refusals.front().advice;
  EXPECT_TRUE(settled(units_of("m", "")).empty());
  // That of the kernel itself is gone.
  EXPECT_TRUE(settled(units_of("vmlinux", "reset")).empty());
}

}  // namespace
}  // namespace ksplice
