#include "objdiff/arch/series.h"

#include <gtest/gtest.h>

#include "objdiff/base/error.h"

namespace ksplice {
namespace {

std::string refusal_of(const std::string& release) {
  try {
    get_series(release);
  } catch (const Refused& refused) {
    return refused.code + " " + refused.refusals.at(0).found;
  }
  return "";
}

TEST(Series, KnowsTheirReleases) {
  EXPECT_EQ(get_series("6.1.0-50-cloud-amd64").name, "6.1");
  EXPECT_EQ(get_series("6.1-test").name, "6.1");
  EXPECT_EQ(get_series("6.1").name, "6.1");
  EXPECT_EQ(get_series("6.12.117+deb12-cloud-amd64").name, "6.12");
  EXPECT_EQ(get_series("7.3.4+deb13-cloud-amd64").name, "7.3");
}

TEST(Series, RefusesOthersByName) {
  EXPECT_EQ(refusal_of("6.10.3"), "unknown_series 6.10.3") << "not 6.1";
  EXPECT_EQ(refusal_of("5.10.0-30-amd64"), "unknown_series 5.10.0-30-amd64");
  EXPECT_EQ(refusal_of("6.120.1"), "unknown_series 6.120.1");
  EXPECT_EQ(refusal_of(""), "unknown_series ");
}

// Each fact that differs between the two.
TEST(Series, DifferInAlternatives) {
  EXPECT_EQ(get_series("6.1.0").alternatives.size, 12);
  EXPECT_EQ(get_series("6.12.0").alternatives.size, 14);
  EXPECT_EQ(get_series("6.1.0").direct_call_flag, 0u);
  EXPECT_EQ(get_series("6.12.0").direct_call_flag, 0x20000u);
  EXPECT_EQ(find_alternative_layout(12)->feature_size, 2);
  EXPECT_EQ(find_alternative_layout(14)->feature_size, 4);
  EXPECT_EQ(find_alternative_layout(13), nullptr);
}

TEST(Series, DifferInTraps) {
  EXPECT_EQ(get_series("6.12.0").bugs[0].size, 12);
  EXPECT_EQ(get_series("6.12.0").bugs[0].format_at, 0);
  EXPECT_EQ(get_series("7.3.4").bugs[0].size, 16);
  EXPECT_EQ(get_series("7.3.4").bugs[1].size, 12);
  EXPECT_EQ(get_series("7.3.4").bugs[1].flags_at, 8);
}

}  // namespace
}  // namespace ksplice
