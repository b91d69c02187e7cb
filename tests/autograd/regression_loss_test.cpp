#include "autograd/ops/regression_loss.h"

#include <gtest/gtest.h>

#include <array>

#include "autograd/gradcheck.h"
#include "kernels/error.h"

namespace offramp {
namespace {

TEST(SmoothL1, IsQuadraticNearAndLinearFarFromTheTarget) {
  Exec exec;
  const std::array<double, 4> x{0, 0.5, -3, 1}, target{0, 0, 0, 0};
  const Variable loss =
      ops::smooth_l1(exec, Variable(Tensor::from<double>(x, {4, 1})), Tensor::from<double>(target, {4, 1}));
  EXPECT_DOUBLE_EQ(loss.value().item(), (0 + 0.125 + 2.5 + 0.5) / 4);
}

TEST(SmoothL1, GradientAgreesWithDifferences) {
  Exec exec;
  const std::array<double, 6> x{0.3, -0.4, 2.5, -7, 0.99, 1.2}, target{0.1, 0.5, 0.2, 1, -0.3, 0.1};
  const Tensor t = Tensor::from<double>(target, {3, 2});
  const GradcheckResult result =
      gradcheck(exec, [&](Exec& e, const std::vector<Variable>& in) { return ops::smooth_l1(e, in[0], t); },
                {Tensor::from<double>(x, {3, 2})});
  EXPECT_TRUE(result.ok) << result.message;
}

TEST(SmoothL1, RefusesOtherShapes) {
  Exec exec;
  EXPECT_THROW(ops::smooth_l1(exec, Variable(Tensor::zeros({3, 1})), Tensor::zeros({3})), Error);
  EXPECT_THROW(ops::smooth_l1(exec, Variable(Tensor::zeros({0, 1})), Tensor::zeros({0, 1})), Error);
}

}  // namespace
}  // namespace offramp
