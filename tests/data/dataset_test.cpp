#include "data/dataset.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>

#include "data/synthetic.h"
#include "tests/support/compare.h"
#include "tests/support/error_kind.h"

namespace offramp::data {
namespace {

using offramp::testing::kind_of;

std::vector<i64> uneven_labels(u64 seed, i64 n) {
  Rng rng(seed);
  std::vector<i64> out;
  for (i64 i = 0; i < n; ++i) out.push_back(std::min(rng.below(7), rng.below(7)));
  return out;
}

TEST(Stratified, EveryClassGetsItsShare) {
  for (u64 seed = 0; seed < 20; ++seed) {
    const i64 n = 50 + i64(seed) * 37;
    const std::vector<i64> labels = uneven_labels(seed, n);
    for (i64 count : {i64{0}, i64{1}, n / 10, n / 3, n - 1, n}) {
      const std::vector<i64> chosen = stratified(labels, count, Rng(seed));
      ASSERT_EQ(i64(chosen.size()), count);
      std::vector<double> all(7), got(7);
      for (i64 label : labels) ++all[size_t(label)];
      for (size_t i = 0; i < chosen.size(); ++i) {
        if (i > 0) {
          ASSERT_LT(chosen[i - 1], chosen[i]);
        }
        ++got[size_t(labels[size_t(chosen[i])])];
      }
      for (size_t c = 0; c < 7; ++c) EXPECT_LT(std::fabs(got[c] - all[c] * double(count) / double(n)), 1);
    }
  }
}

TEST(Stratified, SeedsDiffersAndRepeats) {
  const std::vector<i64> labels = uneven_labels(1, 500);
  EXPECT_EQ(stratified(labels, 100, Rng(3)), stratified(labels, 100, Rng(3)));
  EXPECT_NE(stratified(labels, 100, Rng(3)), stratified(labels, 100, Rng(4)));
  EXPECT_EQ(kind_of([&] { stratified(labels, 501, Rng(3)); }), Error::Kind::usage);
  EXPECT_EQ(kind_of([&] { stratified(labels, -1, Rng(3)); }), Error::Kind::usage);
}

TEST(Stratified, EverySampleHasTheSameChance) {
  const std::vector<i64> labels(40, 0);
  std::vector<int> times(40);
  for (u64 seed = 0; seed < 2000; ++seed)
    for (i64 i : stratified(labels, 10, Rng(seed))) ++times[size_t(i)];
  for (int t : times) EXPECT_NEAR(t, 500, 100);  // five standard deviations
}

TEST(Subset, OthersAreTheRest) {
  const std::vector<i64> taken{0, 3, 4};
  EXPECT_EQ(others(6, taken), (std::vector<i64>{1, 2, 5}));
  EXPECT_EQ(others(3, {}), (std::vector<i64>{0, 1, 2}));
  const Dataset all = synthetic(5, 0, 40);
  const Dataset some = subset(all, taken);
  EXPECT_EQ(some.labels[1], all.labels[3]);
  EXPECT_EQ(some.difficulty[2], all.difficulty[4]);
  EXPECT_EQ(std::memcmp(some.image(2), all.image(4), 3072), 0);
  const std::vector<i64> wrong{40};
  EXPECT_THROW(subset(all, wrong), Error);
}

TEST(ChannelStatistics, AgreeWithTheDefinition) {
  const Dataset set = synthetic(5, 0, 40);
  const Normalisation n = channel_statistics(set);
  for (i64 c = 0; c < 3; ++c) {
    double sum = 0, squares = 0;
    const i64 pixels = 40 * 1024;
    for (i64 i = 0; i < pixels; ++i) sum += set.images.data<u8>()[3 * i + c] / 255.0;
    for (i64 i = 0; i < pixels; ++i)
      squares += std::pow(set.images.data<u8>()[3 * i + c] / 255.0 - sum / double(pixels), 2);
    EXPECT_NEAR(n.mean[size_t(c)], sum / double(pixels), 1e-6);
    EXPECT_NEAR(n.std[size_t(c)], std::sqrt(squares / double(pixels)), 1e-6);
  }
  Dataset flat = set;
  flat.images = Tensor::full({40, 2, 2, 1}, 51, DType::u8);
  EXPECT_EQ(channel_statistics(flat), (Normalisation{{0.2f}, {1.0f}}));
}

TEST(Synthetic, SamplesDependOnSeedStreamAndIndexOnly) {
  const Dataset a = synthetic(1, 0, 80), longer = synthetic(1, 0, 95);
  EXPECT_EQ(std::memcmp(a.images.data<u8>(), longer.images.data<u8>(), 80 * 3072), 0);
  EXPECT_TRUE(std::equal(a.labels.begin(), a.labels.end(), longer.labels.begin()));
  const Dataset other_seed = synthetic(2, 0, 80), other_stream = synthetic(1, 1, 80);
  EXPECT_NE(std::memcmp(a.image(0), other_seed.image(0), 3072), 0);
  EXPECT_NE(std::memcmp(a.image(0), other_stream.image(0), 3072), 0);
}

TEST(Synthetic, ClassesAndDifficultiesAreBalanced) {
  const Dataset set = synthetic(1, 0, 400);
  EXPECT_EQ(class_histogram(set), std::vector<i64>(10, 40));
  std::set<std::pair<i64, i64>> seen;
  for (size_t i = 0; i < 40; ++i) seen.insert({set.labels[i], set.difficulty[i]});
  EXPECT_EQ(seen.size(), 40u);
  EXPECT_EQ(set.classes.size(), 10u);
}

TEST(Synthetic, HarderSamplesAreNoisierAndFlatter) {
  // Differences of neighbours inside a smooth corner measure the noise; it grows from level to level.
  const Dataset set = synthetic(1, 0, 4000);
  double noise[4] = {};
  for (i64 i = 0; i < set.size(); ++i)
    for (i64 k = 0; k < 20; ++k)
      noise[set.difficulty[size_t(i)]] += std::abs(int(set.image(i)[3 * k]) - int(set.image(i)[3 * k + 3]));
  EXPECT_LT(noise[0], noise[1]);
  EXPECT_LT(noise[1], noise[2]);
  EXPECT_LT(noise[2], noise[3]);
}

}  // namespace
}  // namespace offramp::data
