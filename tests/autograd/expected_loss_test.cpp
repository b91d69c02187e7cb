// The loss of learned confidences: against its formula written a second time, and its gradients against
// differences.
#include "autograd/ops/expected_loss.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "autograd/gradcheck.h"
#include "kernels/error.h"
#include "kernels/rng.h"

namespace offramp {
namespace {

using ops::ExpectedLossOptions;

constexpr i64 kRows = 6, kClasses = 4, kExits = 3;

struct Problem {
  std::vector<Tensor> inputs;  // logits of three exits, confidences of two
  Tensor labels = Tensor::empty({kRows}, DType::i64);
  ExpectedLossOptions options{
      .classes = 0.7,
      .truth = 1.3,
      .peak = 0.9,
      .cost = 1.1,
      .costs = {1, 2.5, 4},
      .budget = 1.5,
      .peaks = Tensor::from<double>(std::vector<double>{0.1, 0.9, 0.5, 0.3, 0.8, 0.6, 0.2, 0.7},
                                    {kExits - 1, kClasses})};

  explicit Problem(u64 seed) {
    Rng rng(seed);
    for (i64 i = 0; i < 2 * kExits - 1; ++i) {
      Tensor t = Tensor::empty({kRows, i < kExits ? kClasses : 1}, DType::f64);
      for (double& v : t.values<double>()) v = double(rng.uniform(-2, 2));
      inputs.push_back(t);
    }
    for (i64& l : labels.values<i64>()) l = i64(rng.below(u32(kClasses)));
  }
  Variable loss(Exec& exec, const std::vector<Variable>& in) const {
    return ops::expected_loss(exec, {in[0], in[1], in[2]}, {in[3], in[4]}, labels, options);
  }
  double value() const {
    Exec exec;
    std::vector<Variable> in;
    for (const Tensor& t : inputs) in.emplace_back(t);
    return loss(exec, in).value().item();
  }

  // The definition, sample by sample and term by term.
  double oracle() const {
    const auto& label = labels.values<i64>();
    double classes = 0, cost = 0, truth = 0, peak = 0;
    std::vector<double> right(kExits - 1, 0);
    for (int pass : {0, 1})  // first who is right, then the losses
      for (i64 s = 0; s < kRows; ++s) {
        double stay = 1;
        for (i64 e = 0; e < kExits; ++e) {
          const double* x = inputs[std::size_t(e)].data<double>() + s * kClasses;
          double sum = 0;
          i64 best = 0;
          for (i64 c = 0; c < kClasses; ++c) {
            sum += std::exp(x[c]);
            if (x[c] > x[best]) best = c;
          }
          const i64 l = label[std::size_t(s)];
          const double smoothing = options.label_smoothing;
          double entropy = 0;
          for (i64 c = 0; c < kClasses; ++c)
            entropy -= (smoothing / kClasses + (c == l) * (1 - smoothing)) * std::log(std::exp(x[c]) / sum);
          double c = 1;
          if (e + 1 < kExits) {
            c = 1 / (1 + std::exp(-inputs[std::size_t(kExits + e)].data<double>()[s]));
            if (pass == 0) {
              right[std::size_t(e)] += best == l;
              continue;
            }
            const double count = best == l ? right[std::size_t(e)] : kRows - right[std::size_t(e)];
            truth -= std::log(best == l ? c : 1 - c) * kRows / (2 * count) / kRows / (kExits - 1);
            if (options.peaks.defined())
              peak += std::pow(c - options.peaks.values<double>()[std::size_t(e * kClasses + l)], 2) / kRows /
                      (kExits - 1);
          }
          if (pass == 0) continue;
          classes += c * stay * entropy / kRows;
          if (!options.costs.empty()) cost += c * stay * options.costs[std::size_t(e)] / kRows;
          stay *= 1 - c;
        }
      }
    double loss = options.classes * classes + options.truth * truth + options.peak * peak;
    if (!options.costs.empty())
      loss += options.cost * std::max(0.0, cost - options.budget) /
              std::abs(options.costs.back() - options.budget);
    return loss;
  }
};

TEST(ExpectedLoss, IsItsDefinition) {
  for (u64 seed : {1, 2, 3}) {
    Problem p(seed);
    EXPECT_NEAR(p.value(), p.oracle(), 1e-12);
    p.options.label_smoothing = 0.1;
    EXPECT_NEAR(p.value(), p.oracle(), 1e-12);
    const double with_costs = p.value();
    p.options.budget = 3.9;  // nobody spends so much
    EXPECT_NEAR(p.value(), p.oracle(), 1e-12);
    EXPECT_LT(p.value(), with_costs);
    p.options.costs.clear();
    EXPECT_NEAR(p.value(), p.oracle(), 1e-12);
    p.options.peaks = Tensor();
    EXPECT_NEAR(p.value(), p.oracle(), 1e-12);
  }
}

TEST(ExpectedLoss, GradientsAgreeWithDifferences) {
  Exec exec;
  for (u64 seed : {1, 2, 3})
    for (int terms = 0; terms < 6; ++terms) {
      SCOPED_TRACE(std::to_string(seed) + ", " + std::to_string(terms));
      Problem p(seed);
      if (terms == 1) p.options.classes = p.options.truth = p.options.peak = 0;  // the cost alone
      if (terms == 2) p.options.costs.clear();
      if (terms == 3) p.options.budget = 3.9;
      if (terms == 4) p.options.peaks = Tensor(), p.options.label_smoothing = 0.2;
      if (terms == 5)  // certain beyond the clamp, either way
        for (int i = 0; i < 2; ++i) p.inputs[std::size_t(kExits + i)].data<double>()[i] = i ? 12 : -12;
      const GradcheckResult result = gradcheck(
          exec, [&](Exec& e, const std::vector<Variable>& in) { return p.loss(e, in); }, p.inputs);
      EXPECT_TRUE(result.ok) << result.message;
    }
}

// As published: the cost is counted, but nothing is moved by it.
TEST(ExpectedLoss, CostWithoutGradient) {
  Problem p(1);
  p.options.classes = p.options.truth = p.options.peak = 0;
  EXPECT_GT(p.value(), 0);
  const double with = p.value();
  p.options.cost_gradient = false;
  EXPECT_EQ(p.value(), with);
  Exec exec;
  std::vector<Variable> in;
  for (const Tensor& t : p.inputs) in.emplace_back(t, true);
  backward(exec, p.loss(exec, in));
  for (const Variable& v : in)
    for (double g : v.grad().values<double>()) EXPECT_EQ(g, 0);
}

TEST(ExpectedLoss, OneExitIsCrossEntropyAndWrongShapesAreRefused) {
  Exec exec;
  const std::array<double, 4> x{0, std::log(3.0), 1, 1};
  const std::array<i64, 2> labels{1, 0};
  const Tensor l = Tensor::from<i64>(labels, {2});
  const Variable logits(Tensor::from<double>(x, {2, 2}));
  EXPECT_NEAR(ops::expected_loss(exec, {logits}, {}, l, {}).value().item(),
              (std::log(4.0 / 3) + std::log(2.0)) / 2, 1e-12);
  const Variable sure(Tensor::zeros({2, 1}, DType::f64)), flat(Tensor::zeros({2}, DType::f64));
  EXPECT_NO_THROW(ops::expected_loss(exec, {logits, logits}, {sure}, l, {}));
  EXPECT_THROW(ops::expected_loss(exec, {logits, logits}, {flat}, l, {}), Error);
  EXPECT_THROW(ops::expected_loss(exec, {logits, logits}, {}, l, {}), Error);
  EXPECT_THROW(ops::expected_loss(exec, {logits, logits}, {sure}, l, {.costs = {1}}), Error);
  EXPECT_THROW(ops::expected_loss(exec, {logits, logits}, {sure}, l,
                                  {.peaks = Tensor::from<double>(std::vector<double>{1}, {1})}),
               Error);
  const std::array<i64, 2> wrong{1, 2};
  EXPECT_THROW(ops::expected_loss(exec, {logits}, {}, Tensor::from<i64>(wrong, {2}), {}), Error);
}

}  // namespace
}  // namespace offramp
