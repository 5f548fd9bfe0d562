// Deltas: made and applied, and every way to lie in one refused without harm (run under ASan too).
#include "create/package/delta.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "objdiff/base/error.h"

namespace ksplice {
namespace {

using Content = std::vector<uint8_t>;

Content noise(size_t size, unsigned seed) {
  std::mt19937 random(seed);
  Content content(size);
  for (uint8_t& byte : content) byte = static_cast<uint8_t>(random());
  return content;
}

// base with some bytes changed, a piece put in, one taken out and one moved.
Content edited(Content base) {
  for (size_t i = 0; i < base.size(); i += 500) base[i] ^= 0x55;
  Content more = noise(300, 9);
  base.insert(base.begin() + 4000, more.begin(), more.end());
  base.erase(base.begin() + 9000, base.begin() + 9500);
  std::rotate(base.begin() + 10000, base.begin() + 11000, base.begin() + 14000);
  return base;
}

// The refusal, or "made SIZE bytes".
std::string outcome(const Content& base, const Content& delta, uint64_t size) {
  try {
    return "made " + std::to_string(apply_delta(base, delta, size).size()) + " bytes";
  } catch (const Error& error) {
    EXPECT_EQ(error.code, "bad_tarball");
    return error.what();
  }
}

const Content Base = noise(20000, 1);

TEST(Delta, MakesTheTargetAgain) {
  Content target = edited(Base);
  std::optional<Content> delta = make_delta(Base, target);
  ASSERT_TRUE(delta);
  EXPECT_LT(delta->size(), 1500u);
  EXPECT_EQ(apply_delta(Base, *delta, target.size()), target);
  EXPECT_EQ(*make_delta(Base, target), *delta);
}

TEST(Delta, OfEqualFilesIsTiny) {
  std::optional<Content> delta = make_delta(Base, Base);
  ASSERT_TRUE(delta);
  EXPECT_LT(delta->size(), 50u);
  EXPECT_EQ(apply_delta(Base, *delta, Base.size()), Base);
}

// Bases whose size is a power of two are one full block for xdelta3, others are not.
TEST(Delta, SizesOfBlocks) {
  for (size_t size : {1u, 2u, 4096u, 16383u, 16384u, 16385u, 65536u}) {
    Content base = noise(size, 2), target = base;
    target.insert(target.end(), Base.begin(), Base.end());
    target.insert(target.end(), Base.begin(), Base.end());
    std::optional<Content> delta = make_delta(base, target);
    ASSERT_TRUE(delta) << size;
    EXPECT_EQ(apply_delta(base, *delta, target.size()), target) << size;
  }
}

TEST(Delta, NoneWhereItIsNotSmaller) {
  EXPECT_FALSE(make_delta(Base, noise(20000, 2)));
  EXPECT_FALSE(make_delta({}, Base));
  EXPECT_FALSE(make_delta(Base, {}));
}

TEST(Delta, WrongSizeIsRefused) {
  Content target = edited(Base), delta = *make_delta(Base, target);
  size_t size = target.size();
  EXPECT_EQ(outcome(Base, delta, size - 1),
            "a delta is damaged: it makes more than the manifest says");
  EXPECT_EQ(outcome(Base, delta, size + 1),
            "a delta is damaged: it makes 19800 bytes, the "
            "manifest says 19801");
  EXPECT_EQ(outcome(Base, delta, 1ull << 40), "a delta is damaged: it is too large");
}

TEST(Delta, WrongBaseIsRefused) {
  Content target = edited(Base), delta = *make_delta(Base, target);
  EXPECT_EQ(outcome(noise(20000, 3), delta, target.size()),
            "a delta is damaged: target window checksum mismatch");
  EXPECT_NE(outcome(Content(Base.begin(), Base.begin() + 100), delta, target.size())
                .find("a delta is damaged"),
            std::string::npos);
  EXPECT_EQ(outcome({}, delta, target.size()), "a delta is damaged: source input required");
}

TEST(Delta, EveryTruncationIsRefused) {
  Content target = edited(Base), delta = *make_delta(Base, target);
  for (size_t length = 0; length < delta.size(); ++length)
    EXPECT_EQ(outcome(Base, Content(delta.begin(), delta.begin() + static_cast<long>(length)),
                      target.size())
                  .rfind("a delta is damaged", 0),
              0u)
        << length;
}

TEST(Delta, DamageIsRefusedOrGivesTheRightSize) {
  Content target = edited(Base), delta = *make_delta(Base, target);
  std::string good = "made " + std::to_string(target.size()) + " bytes";
  std::mt19937 random(4);
  size_t refused = 0;
  for (int i = 0; i < 20000; ++i) {
    Content altered = delta;
    // The header of the window, where sizes are, is hit as often as all the rest.
    size_t place = i % 2 == 0 ? random() % 40 : random() % altered.size();
    for (int k = i % 5; k >= 0; --k) altered[(place + k) % altered.size()] = random() & 0xff;
    std::string text = outcome(Base, altered, target.size());
    refused += text != good;
    EXPECT_TRUE(text == good || text.rfind("a delta is damaged", 0) == 0) << text;
  }
  EXPECT_GT(refused, 19000u);
}

// A window whose section sizes would wrap around in 32 bits when they are rounded up.
TEST(Delta, HugeSectionIsRefused) {
  Content delta = {0xd6, 0xc3, 0xc4, 0, 0, 0};
  for (int byte : {0x90, 0x80, 0x80, 0x80, 0x07,  // length of the rest, as 2^32 + 7 wraps
                   0x10, 0,    0x8f, 0xff, 0xff, 0xff, 0x7f,  // target 16, data section 2^32 - 1
                   0,    0,    1,    2,    3,    4,    5,    6, 7, 8})
    delta.push_back(static_cast<uint8_t>(byte));
  EXPECT_EQ(outcome(Base, delta, 16).rfind("a delta is damaged", 0), 0u);
  // The same with the sum that xdelta3 itself accepts, so that only our own check stands.
  for (uint32_t length = 0; length < 64; ++length) {
    Content window = {0xd6, 0xc3, 0xc4, 0, 0, 0, static_cast<uint8_t>(length)};
    for (int byte : {0x10, 0, 0x8f, 0xff, 0xff, 0xff, 0x7f, 0, 0})
      window.push_back(static_cast<uint8_t>(byte));
    window.resize(window.size() + 100, 'x');
    std::string text = outcome(Base, window, 16);
    EXPECT_EQ(text.rfind("a delta is damaged", 0), 0u) << text;
    if (text == "a delta is damaged: a window is longer than the delta") return;
  }
  ADD_FAILURE() << "no length got past xdelta3's own check";
}

TEST(Delta, OptionalPartsAreRefused) {
  Content delta = *make_delta(Base, Base);
  for (uint8_t indicator : {1, 2, 4, 8, 0xff}) {
    Content altered = delta;
    altered[4] = indicator;
    EXPECT_EQ(outcome(Base, altered, Base.size()), "a delta is damaged: it does not begin as one");
  }
}

}  // namespace
}  // namespace ksplice
