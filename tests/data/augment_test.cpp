#include "data/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "data/synthetic.h"
#include "tests/support/compare.h"
#include "tests/support/error_kind.h"

namespace offramp::data {
namespace {

using offramp::testing::kind_of;

const Normalisation kUnit3{{0, 0, 0}, {1, 1, 1}}, kUnit1{{0}, {1}};

// A 5 x 4 image whose bytes tell position and channel; none is black.
std::vector<u8> numbered(i64 channels) {
  std::vector<u8> out;
  for (i64 i = 0; i < 20 * channels; ++i) out.push_back(u8(i + 1));
  return out;
}

std::vector<int> run(const Augment& a, i64 channels, u64 seed) {
  const std::vector<u8> image = numbered(channels);
  std::vector<float> out(image.size(), NAN);
  Normaliser(channels == 3 ? kUnit3 : kUnit1, channels)
      .augmented(image.data(), 5, 4, a, Rng(seed), out.data());
  std::vector<int> bytes;
  for (float v : out) bytes.push_back(int(std::lround(v * 255)));
  return bytes;
}

TEST(Augment, CropsAreShiftsOfTheImageOnBlack) {
  for (i64 channels : {1, 3}) {
    const std::vector<u8> image = numbered(channels);
    std::set<std::pair<i64, i64>> seen;
    for (u64 seed = 0; seed < 400; ++seed) {
      const std::vector<int> got = run({.pad = 2}, channels, seed);
      bool matched = false;
      for (i64 dy = -2; dy <= 2 && !matched; ++dy)
        for (i64 dx = -2; dx <= 2 && !matched; ++dx) {
          std::vector<int> want;
          for (i64 row = 0; row < 5; ++row)
            for (i64 col = 0; col < 4; ++col)
              for (i64 c = 0; c < channels; ++c) {
                const i64 y = row + dy, x = col + dx;
                const bool inside = y >= 0 && y < 5 && x >= 0 && x < 4;
                want.push_back(inside ? image[size_t((y * 4 + x) * channels + c)] : 0);
              }
          matched = want == got;
          if (matched) seen.insert({dy, dx});
        }
      EXPECT_TRUE(matched) << seed;
    }
    EXPECT_EQ(seen.size(), 25u);
  }
}

TEST(Augment, FlipsHalfOfTheTime) {
  const std::vector<u8> image = numbered(3);
  int flipped = 0;
  for (u64 seed = 0; seed < 400; ++seed) {
    const std::vector<int> got = run({.flip = true}, 3, seed);
    const bool mirror = got[0] != image[0];
    flipped += mirror;
    for (i64 row = 0; row < 5; ++row)
      for (i64 col = 0; col < 4; ++col)
        for (i64 c = 0; c < 3; ++c)
          ASSERT_EQ(got[size_t((row * 4 + col) * 3 + c)],
                    image[size_t((row * 4 + (mirror ? 3 - col : col)) * 3 + c)]);
  }
  EXPECT_NEAR(flipped, 200, 50);
}

TEST(Augment, CutoutIsASquareOfTheMean) {
  const Normalisation n{{0.5f}, {0.25f}};
  const std::vector<u8> image(64 * 64, 255);
  std::vector<float> out(image.size());
  std::set<i64> areas;
  for (u64 seed = 0; seed < 200; ++seed) {
    Normaliser(n, 1).augmented(image.data(), 64, 64, {.cutout = 9}, Rng(seed), out.data());
    i64 area = 0, top = 64, bottom = -1, left = 64, right = -1;
    for (i64 i = 0; i < 64 * 64; ++i) {
      if (out[size_t(i)] == 2.0f) continue;
      ASSERT_EQ(out[size_t(i)], 0.0f);
      ++area;
      top = std::min(top, i / 64), bottom = std::max(bottom, i / 64);
      left = std::min(left, i % 64), right = std::max(right, i % 64);
    }
    EXPECT_EQ(area, (bottom - top + 1) * (right - left + 1));
    EXPECT_LE(area, 81);
    EXPECT_GE(area, 25);
    areas.insert(area);
  }
  EXPECT_TRUE(areas.count(81));
}

TEST(Augment, OneChangeDoesNotMoveTheOthers) {
  // The crop is the same with and without a flip: mirrored, nothing else.
  for (u64 seed = 0; seed < 50; ++seed) {
    const std::vector<int> plain = run({.pad = 2}, 1, seed), with = run({.pad = 2, .flip = true}, 1, seed);
    std::vector<int> mirrored = plain;
    for (i64 row = 0; row < 5; ++row)
      std::reverse(mirrored.begin() + row * 4, mirrored.begin() + row * 4 + 4);
    EXPECT_TRUE(with == plain || with == mirrored) << seed;
  }
}

TEST(Augment, JitterKeepsTheRangeAndActs) {
  const Dataset set = synthetic(3, 0, 8);
  std::vector<float> out(3072), plain(3072);
  const Normaliser unit(kUnit3, 3);
  for (i64 i = 0; i < set.size(); ++i) {
    unit.plain(set.image(i), 32, 32, plain.data());
    unit.augmented(set.image(i), 32, 32, {.brightness = 0.4f, .contrast = 0.4f, .saturation = 0.4f},
                   Rng(u64(i)), out.data());
    double moved = 0;
    for (size_t k = 0; k < out.size(); ++k) {
      ASSERT_GE(out[k], 0);
      ASSERT_LE(out[k], 1);
      moved += std::fabs(out[k] - plain[k]);
    }
    EXPECT_GT(moved / 3072, 0.002);
  }
  // Saturation alone keeps a grey image, contrast alone keeps a flat one.
  const std::vector<u8> grey(3072, 77);
  unit.augmented(grey.data(), 32, 32, {.contrast = 0.9f, .saturation = 0.9f}, Rng(1), out.data());
  for (float v : out) EXPECT_NEAR(v, 77 / 255.0, 1e-5);
  // Brightness scales.
  unit.augmented(grey.data(), 32, 32, {.brightness = 0.5f}, Rng(1), out.data());
  EXPECT_NE(out[0], 77 / 255.0f);
  for (float v : out) EXPECT_EQ(v, out[0]);
}

TEST(Augment, DigitsAreNeverFlipped) {
  EXPECT_FALSE(default_augment("svhn", 32).flip);
  EXPECT_FALSE(default_augment("mnist", 28).flip);
  EXPECT_TRUE(default_augment("cifar10", 32).flip);
  EXPECT_EQ(default_augment("cifar10", 32).pad, 4);
  EXPECT_TRUE(default_augment("fashion-mnist", 28).flip);
}

TEST(Normaliser, IsTheFormula) {
  const Normalisation n{{0.4f, 0.5f, 0.6f}, {0.2f, 0.25f, 0.3f}};
  std::vector<u8> image;
  for (int i = 0; i < 768; ++i) image.push_back(u8(i / 3));
  std::vector<float> out(768);
  Normaliser(n, 3).plain(image.data(), 16, 16, out.data());
  for (size_t i = 0; i < 768; ++i)
    EXPECT_NEAR(out[i], (image[i] / 255.0 - double(n.mean[i % 3])) / double(n.std[i % 3]), 1e-6);
  EXPECT_EQ(kind_of([&] { Normaliser(n, 1); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { Normaliser({{0}, {0}}, 1); }), Error::Kind::input);
}

}  // namespace
}  // namespace offramp::data
