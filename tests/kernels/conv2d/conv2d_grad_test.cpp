// Every row of the conv2d gradient table against the reference, and the reference against central
// differences.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/conv2d/conv2d.h"
#include "tests/kernels/conv2d/problem.h"
#include "tests/support/compare.h"
#include "tests/support/guarded_buffer.h"

namespace offramp::kernels {
namespace {

using testing::all_close;
using testing::all_equal;
using testing::GuardedBuffer;
using Problem = Conv2dProblem<float>;

struct Gradients {
  std::vector<float> gx, gw;
};

Gradients run(const Conv2dGradKernel& row, const Problem& p, int threads = 1) {
  Exec exec(row.target, threads);
  GuardedBuffer<float> gx(x_size(p.d), 1), gw(w_size(p.d), 3);
  row.run(exec, p.grad_call(gx.data(), gw.data()));
  EXPECT_TRUE(gx.intact());
  EXPECT_TRUE(gw.intact());
  return {{gx.values().begin(), gx.values().end()}, {gw.values().begin(), gw.values().end()}};
}

class Conv2dGradRow : public ::testing::TestWithParam<Conv2dGradKernel> {
 protected:
  void SetUp() override {
    if (!cpu_supports(GetParam().target)) GTEST_SKIP() << "this CPU lacks " << target_name(GetParam().target);
  }
};

TEST_P(Conv2dGradRow, ExactOnIntegers) {
  i64 checked = 0;
  for (const Conv2dDims& d : conv2d_shapes()) {
    if (!GetParam().accepts(d)) continue;
    SCOPED_TRACE(name_of(d));
    Problem p{.d = d};
    p.extra_kernel = checked % 3 == 0 ? 2 : 0;
    p.extra_in = checked % 4;
    ++checked;
    p.fill([](std::span<float> v, u64 seed) { testing::fill_integers(v, seed, 3); });
    ASSERT_TRUE(testing::exact_in_float(std::max(y_size(d) / d.c_out, d.kernel * d.kernel * d.c_out), 3));
    const Gradients got = run(GetParam(), p);
    ASSERT_TRUE(all_equal(std::span<const float>(got.gx), std::span<const float>(p.reference_gx())));
    ASSERT_TRUE(all_equal(std::span<const float>(got.gw), std::span<const float>(p.reference_gw())));
  }
}

constexpr Conv2dDims kRealShapes[] = {{9, 14, 14, 24, 40, 1, 1, 0, 1}, {5, 3, 4, 130, 75, 1, 1, 0, 1},
                                      {9, 14, 13, 16, 24, 1, 2, 0, 1},
                                      {9, 9, 7, 20, 33, 3, 1, 1, 1},   {7, 11, 13, 12, 18, 5, 2, 2, 1},
                                      {9, 8, 8, 12, 24, 3, 2, 1, 4},   {3, 40, 30, 3, 16, 3, 1, 1, 1}};

TEST_P(Conv2dGradRow, CloseOnReals) {
  for (const Conv2dDims& d : kRealShapes)
    for (float low : {-1.0f, 0.0f}) {
      if (!GetParam().accepts(d)) continue;
      Problem p{.d = d};
      p.fill([low](std::span<float> v, u64 seed) { testing::fill_reals(v, seed, low, 1); });
      const Gradients got = run(GetParam(), p);
      const auto wide = p.widened(), magnitude = p.widened(true);
      const std::vector<double> gx = magnitude.reference_gx(), gw = magnitude.reference_gw();
      EXPECT_TRUE(all_close(
          std::span<const float>(got.gx), std::span<const double>(wide.reference_gx()),
          [&](i64 i) { return testing::rounding_bound(d.kernel * d.kernel * d.c_out, gx[size_t(i)]); }))
          << name_of(d);
      EXPECT_TRUE(
          all_close(std::span<const float>(got.gw), std::span<const double>(wide.reference_gw()),
                    [&](i64 i) { return testing::rounding_bound(y_size(d) / d.c_out, gw[size_t(i)]); }))
          << name_of(d);
    }
}

TEST_P(Conv2dGradRow, SameBitsForAnyThreads) {
  for (const Conv2dDims& d : kRealShapes) {
    if (!GetParam().accepts(d)) continue;
    Problem p{.d = d};
    p.fill([](std::span<float> v, u64 seed) { testing::fill_reals(v, seed); });
    const Gradients one = run(GetParam(), p), two = run(GetParam(), p, 2), three = run(GetParam(), p, 3);
    for (const Gradients* other : {&two, &three}) {
      EXPECT_TRUE(all_equal(std::span<const float>(other->gx), std::span<const float>(one.gx)));
      EXPECT_TRUE(all_equal(std::span<const float>(other->gw), std::span<const float>(one.gw)));
    }
  }
}

TEST_P(Conv2dGradRow, EachGradientAloneIsTheSame) {
  const bool dense = GetParam().accepts(kRealShapes[3]);
  Problem p{.d = kRealShapes[dense ? 3 : 0]};
  p.fill([](std::span<float> v, u64 seed) { testing::fill_reals(v, seed); });
  const Gradients both = run(GetParam(), p);
  Exec exec(GetParam().target);
  GuardedBuffer<float> gx(x_size(p.d)), gw(w_size(p.d));
  GetParam().run(exec, p.grad_call(gx.data(), nullptr));
  GetParam().run(exec, p.grad_call(nullptr, gw.data()));
  EXPECT_TRUE(all_equal(std::span<const float>(gx.values()), std::span<const float>(both.gx)));
  EXPECT_TRUE(all_equal(std::span<const float>(gw.values()), std::span<const float>(both.gw)));
}

INSTANTIATE_TEST_SUITE_P(Table, Conv2dGradRow,
                         ::testing::ValuesIn(conv2d_grad_kernels().begin(), conv2d_grad_kernels().end()),
                         [](const auto& row) {
                           std::string name(row.param.name);
                           std::replace(name.begin(), name.end(), '/', '_');
                           return name;
                         });

// d/dv of sum(gy * conv(x, w)), by central differences: the function is bilinear, so they are exact but for
// rounding.
TEST(Conv2dGradReference, MatchesCentralDifferences) {
  for (const Conv2dDims& d : {Conv2dDims{2, 5, 4, 3, 4, 3, 1, 1, 1}, Conv2dDims{1, 7, 6, 4, 6, 5, 2, 2, 2},
                              Conv2dDims{2, 4, 4, 3, 2, 1, 2, 0, 1}, Conv2dDims{1, 3, 4, 2, 3, 2, 3, 2, 1}}) {
    SCOPED_TRACE(name_of(d));
    Conv2dProblem<double> p{.d = d};
    p.fill([](std::span<double> v, u64 seed) { testing::fill_reals(v, seed); });
    const auto value = [&] {
      const std::vector<double> y = p.reference();
      double sum = 0;
      for (size_t i = 0; i < y.size(); ++i) sum += y[i] * p.gy[i];
      return sum;
    };
    const auto differences = [&](std::vector<double>& v) {
      constexpr double kStep = 0x1p-8;
      std::vector<double> out;
      for (double& element : v) {
        const double before = element;
        element = before + kStep;
        const double up = value();
        element = before - kStep;
        out.push_back((up - value()) / (2 * kStep));
        element = before;
      }
      return out;
    };
    const std::vector<double> gx = p.reference_gx(), gw = p.reference_gw();
    const auto bound = [](i64) { return 1e-10; };
    EXPECT_TRUE(all_close(std::span<const double>(gx), std::span<const double>(differences(p.x)), bound));
    EXPECT_TRUE(all_close(std::span<const double>(gw), std::span<const double>(differences(p.w)), bound));
  }
}

}  // namespace
}  // namespace offramp::kernels
