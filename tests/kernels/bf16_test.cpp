#include "kernels/bf16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace offramp {
namespace {

TEST(Bf16, EveryValueSurvivesTheWayThroughFloat) {
  for (u32 bits = 0; bits <= 0xffff; ++bits) {
    Bf16 v;
    v.bits = uint16_t(bits);
    const float f = float(v);
    if (std::isnan(f))
      EXPECT_TRUE(std::isnan(float(Bf16(f)))) << bits;
    else
      EXPECT_EQ(Bf16(f).bits, bits);
  }
}

// Against the definition: the nearest of the two neighbours, of equally near ones the even one.
TEST(Bf16, RoundsToNearestTiesToEven) {
  for (u32 upper = 0x3f00; upper < 0x4100; ++upper)
    for (const u32 lower : {0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      const u32 want = lower < 0x8000 ? upper : lower > 0x8000 ? upper + 1 : upper + (upper & 1);
      EXPECT_EQ(Bf16(std::bit_cast<float>(upper << 16 | lower)).bits, want);
      EXPECT_EQ(Bf16(-std::bit_cast<float>(upper << 16 | lower)).bits, want | 0x8000);
    }
}

TEST(Bf16, OverflowAndNan) {
  EXPECT_EQ(float(Bf16(std::numeric_limits<float>::max())), std::numeric_limits<float>::infinity());
  EXPECT_EQ(float(Bf16(-std::numeric_limits<float>::infinity())), -std::numeric_limits<float>::infinity());
  // A NaN whose payload lies in the lower half only must not become infinity.
  EXPECT_TRUE(std::isnan(float(Bf16(std::bit_cast<float>(0x7f800001u)))));
}

}  // namespace
}  // namespace offramp
