#include "kernels/rng.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace offramp {
namespace {

using Block = std::array<u32, 4>;

// The known answers of Random123 1.14 (tests/kat_vectors, philox4x32 with 10 rounds).
TEST(Philox, KnownAnswers) {
  constexpr u32 ones = 0xffffffff;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({ones, ones, ones, ones}, {ones, ones}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, ReplaysFromItsSeed) {
  Rng a(7, 3), b(7, 3);
  for (int i = 0; i < 9; ++i) EXPECT_EQ(a.next_u32(), b.next_u32());
  Rng copy = a;  // copies the position
  EXPECT_EQ(copy.next_u64(), a.next_u64());
}

TEST(Rng, FirstBlockIsCounterZero) {
  Rng rng(0, 0);
  for (const u32 want : {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}) EXPECT_EQ(rng.next_u32(), want);
}

TEST(Rng, SeedsStreamsAndLabelsAreApart) {
  std::set<u64> first;
  for (u64 seed = 0; seed < 8; ++seed)
    for (u64 stream = 0; stream < 8; ++stream) first.insert(Rng(seed, stream).next_u64());
  const Rng root(1);
  for (u64 a = 0; a < 4; ++a)
    for (u64 b = 0; b < 4; ++b)
      for (u64 c = 0; c < 4; ++c) first.insert(root.derive(a, b, c).next_u64());
  EXPECT_EQ(first.size(), 64u + 64u);
}

TEST(Rng, BelowStaysBelowAndReachesAll) {
  Rng rng(5);
  std::vector<int> seen(7);
  for (int i = 0; i < 7000; ++i) {
    const u32 v = rng.below(7);
    ASSERT_LT(v, 7u);
    ++seen[v];
  }
  for (const int count : seen) EXPECT_NEAR(count, 1000, 150);  // 5 standard deviations
  for (int i = 0; i < 10; ++i) EXPECT_EQ(rng.below(1), 0u);
}

TEST(Rng, UniformIsInRangeWithTheRightMean) {
  Rng rng(6);
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const float v = rng.uniform();
    ASSERT_GE(v, 0.0f);
    ASSERT_LT(v, 1.0f);
    sum += v;
  }
  EXPECT_NEAR(sum / 10000, 0.5, 5 * 0.2887 / 100);
  for (int i = 0; i < 1000; ++i) {
    const float v = rng.uniform(-3, 5);
    ASSERT_GE(v, -3.0f);
    ASSERT_LE(v, 5.0f);
  }
}

}  // namespace
}  // namespace offramp
