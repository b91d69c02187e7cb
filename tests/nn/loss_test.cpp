// Loss of several exits.
#include "nn/loss.h"

#include <gtest/gtest.h>

#include "autograd/gradcheck.h"
#include "autograd/ops/loss.h"
#include "kernels/error.h"
#include "tiny.h"

namespace offramp {
namespace {

using namespace nn;

Variable logits(u64 seed) {
  Tensor t = Tensor::empty({4, 5}, DType::f64);
  testing::fill_reals(t.values<double>(), seed, -3, 3);
  return Variable(t, true);
}

TEST(ExitLoss, IsTheWeightedSumOfItsTerms) {
  Exec exec(Target::portable);
  const Tensor labels = testing::random_labels(4, 5, 1);
  const std::vector<Variable> l{logits(1), logits(2), logits(3)};
  const auto ce = [&](int e) { return ops::cross_entropy(exec, l[size_t(e)], labels, 0.1).value().item(); };
  const auto kl = [&](int e, const Tensor& t) {
    return ops::kl_div(exec, l[size_t(e)], t, 2).value().item();
  };
  ExitLossOptions o{.label_smoothing = 0.1, .temperature = 2};
  EXPECT_NEAR(exit_loss(exec, l, labels, o).value().item(), ce(0) + ce(1) + ce(2), 1e-12);
  o.weights = {0.5, 0.25, 2};
  o.distillation = 0.3;
  const Tensor last = l[2].value();
  EXPECT_NEAR(exit_loss(exec, l, labels, o).value().item(),
              0.5 * (0.7 * ce(0) + 0.3 * kl(0, last)) + 0.25 * (0.7 * ce(1) + 0.3 * kl(1, last)) + 2 * ce(2),
              1e-12);
  const Tensor teacher = logits(9).value();
  EXPECT_NEAR(exit_loss(exec, l, labels, o, teacher).value().item(),
              0.5 * (0.7 * ce(0) + 0.3 * kl(0, teacher)) + 0.25 * (0.7 * ce(1) + 0.3 * kl(1, teacher)) +
                  2 * (0.7 * ce(2) + 0.3 * kl(2, teacher)),
              1e-12);
}

TEST(ExitLoss, NothingFlowsIntoTheTeacher) {
  Exec exec(Target::portable);
  const Tensor labels = testing::random_labels(4, 5, 1);
  const std::vector<Variable> l{logits(1), logits(2)};
  backward(exec, exit_loss(exec, l, labels, {.weights = {1, 0}, .distillation = 1}));
  for (double g : l[1].grad().values<double>()) EXPECT_EQ(g, 0);
  double sum = 0;
  for (double g : l[0].grad().values<double>()) sum += std::abs(g);
  EXPECT_GT(sum, 0.1);
}

TEST(ExitLoss, RefusesWhatMakesNoSense) {
  Exec exec(Target::portable);
  const Tensor labels = testing::random_labels(4, 5, 1);
  EXPECT_THROW(exit_loss(exec, {logits(1)}, labels, {.weights = {1, 1}}), Error);
  EXPECT_THROW(exit_loss(exec, {logits(1)}, labels, {.distillation = 1.5}), Error);
  EXPECT_THROW(exit_loss(exec, {}, labels), Error);
}

TEST(Accuracy, CountsTheFirstLargest) {
  const std::vector<float> x{1, 2, 2, 0, 5, 3, 7, 7, 7};
  const std::vector<i64> labels{1, 1, 2};
  EXPECT_DOUBLE_EQ(accuracy(Tensor::from(std::span<const float>(x), {3, 3}),
                            Tensor::from(std::span<const i64>(labels), {3})),
                   2.0 / 3);
}

}  // namespace
}  // namespace offramp
