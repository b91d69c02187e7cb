// Sources of parameters.
#include "nn/parameters.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/error.h"
#include "tiny.h"

namespace offramp {
namespace {

using namespace nn;
using testing::same_bits;

TEST(FreshParameters, DependOnSeedAndNameNotOnOrder) {
  FreshParameters one(Rng(5)), two(Rng(5)), other(Rng(6));
  const Init init = Init::he_normal(9);
  const Tensor a1 = one.parameter("a.weight", {4, 3}, init).value();
  const Tensor b1 = one.parameter("b.weight", {4, 3}, init).value();
  const Tensor b2 = two.parameter("b.weight", {4, 3}, init).value();
  const Tensor a2 = two.parameter("a.weight", {4, 3}, init).value();
  EXPECT_TRUE(same_bits(a1, a2));
  EXPECT_TRUE(same_bits(b1, b2));
  EXPECT_FALSE(same_bits(a1, b1));
  EXPECT_FALSE(same_bits(a1, other.parameter("a.weight", {4, 3}, init).value()));
}

TEST(FreshParameters, HaveTheStatedDistributions) {
  FreshParameters source(Rng(7), DType::f64);
  constexpr i64 kCount = 40000;
  const auto moments = [&](const Init& init, double& mean, double& deviation, double& largest) {
    const Tensor t = source.parameter("w", {kCount}, init).value();
    mean = deviation = largest = 0;
    for (double v : t.values<double>()) mean += v / kCount;
    for (double v : t.values<double>()) deviation += (v - mean) * (v - mean) / kCount;
    for (double v : t.values<double>()) largest = std::max(largest, std::fabs(v));
    deviation = std::sqrt(deviation);
  };
  double mean, deviation, largest;
  moments(Init::he_normal(50), mean, deviation, largest);  // deviation 0.2; bounds are 5 standard errors
  EXPECT_NEAR(mean, 0, 5 * 0.2 / std::sqrt(kCount));
  EXPECT_NEAR(deviation, 0.2, 5 * 0.2 / std::sqrt(2.0 * kCount));
  EXPECT_GT(largest, 3 * 0.2);
  moments(Init::uniform(25), mean, deviation, largest);
  EXPECT_NEAR(deviation, 0.2 / std::sqrt(3.0), 0.002);
  EXPECT_LE(largest, 0.2);
  EXPECT_GT(largest, 0.199);
  moments(Init::ones(), mean, deviation, largest);
  EXPECT_NEAR(mean, 1, 1e-9);
  EXPECT_EQ(largest, 1);
  EXPECT_EQ(source.buffer("b", {2}, 3).values<double>()[1], 3);
}

TEST(LoadedParameters, NameWhatIsMissingOrMisshapen) {
  LoadedParameters source({{"w", Tensor::zeros({2, 3})}});
  EXPECT_TRUE(source.parameter("w", {2, 3}, {}).requires_grad());
  try {
    source.parameter("w", {3, 2}, {});
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "weights: tensor 'w' [3,2] wanted, got [2,3]");
  }
  EXPECT_THROW(source.buffer("v", {2}, 0), Error);
}

}  // namespace
}  // namespace offramp
