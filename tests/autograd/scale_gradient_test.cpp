// A scaled gradient: the value passes unchanged, what comes back is a multiple of what a plain use gives.
#include "autograd/ops/scale_gradient.h"

#include <gtest/gtest.h>

#include "autograd/ops.h"
#include "tests/support/fill.h"

namespace offramp {
namespace {

Tensor reals(const Shape& shape, u64 seed, DType dtype) {
  Tensor t = Tensor::empty(shape, DType::f64);
  testing::fill_reals(t.values<double>(), seed);
  return t.to(dtype);
}

TEST(ScaleGradient, IdentityForwardScaledBackward) {
  for (const DType dtype : {DType::f64, DType::f32})
    for (const int threads : {1, 3}) {
      Exec exec(Target::portable, threads);
      const Shape shape{5, 9, 8, 100};  // several chunks
      const Variable x(reals(shape, 1, dtype), true);
      const Tensor upstream = reals(shape, 2, dtype);
      const Variable y = ops::scale_gradient(x, 0.25);
      EXPECT_TRUE(y.value().shares_storage(x.value()));
      backward(exec, y, upstream);
      const Tensor g = x.grad().to(DType::f64), up = upstream.to(DType::f64);
      for (i64 i = 0; i < g.count(); ++i) ASSERT_EQ(g.values<double>()[i], 0.25 * up.values<double>()[i]);
    }
}

// A trunk that goes on in two directions, each scaled: the sum of both arrives, nothing else is touched.
TEST(ScaleGradient, BranchesAddUp) {
  Exec exec(Target::portable);
  const Shape shape{3, 7};
  const auto gradient = [&](double a, double b) {
    const Variable x(reals(shape, 1, DType::f64), true);
    const Variable branch = ops::mul(exec, ops::scale_gradient(x, a), Variable(reals(shape, 2, DType::f64)));
    const Variable rest = ops::mul(exec, ops::scale_gradient(x, b), Variable(reals(shape, 3, DType::f64)));
    backward(exec, ops::add(exec, ops::add(exec, branch, rest), x), reals(shape, 4, DType::f64));
    return x.grad();
  };
  const Tensor none = gradient(0, 0), left = gradient(1, 0), right = gradient(0, 1), both = gradient(0.5, 2);
  for (i64 i = 0; i < none.count(); ++i) {
    const double n = none.values<double>()[i];
    EXPECT_NEAR(both.values<double>()[i],
                n + 0.5 * (left.values<double>()[i] - n) + 2 * (right.values<double>()[i] - n), 1e-12);
  }
}

TEST(ScaleGradient, WithoutAGradientItIsNothing) {
  const Variable x(reals({2, 2}, 1, DType::f32));
  EXPECT_TRUE(ops::scale_gradient(x, 0.5).same_as(x));
}

}  // namespace
}  // namespace offramp
