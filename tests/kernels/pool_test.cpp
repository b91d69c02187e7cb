#include "kernels/pool/pool.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/error.h"
#include "kernels/pool/pool_ref.h"
#include "kernels/recorder.h"
#include "tests/kernels/resize_pool_golden.h"
#include "tests/support/compare.h"
#include "tests/support/counting.h"
#include "tests/support/fill.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/targets.h"

namespace offramp::kernels {
namespace {

using testing::all_close;
using testing::all_equal;
using testing::Counting;
using testing::GuardedBuffer;
using Floats = std::span<const float>;
using Doubles = std::span<const double>;

std::string text(const PoolDims& d) {
  const i64 v[] = {d.n, d.h, d.w, d.c, d.kernel, d.stride, d.pad};
  std::string s = d.kind == PoolKind::max ? "max, n,h,w,c,k,s,p =" : "avg, n,h,w,c,k,s,p =";
  for (i64 i : v) s += " " + std::to_string(i);
  return s;
}

i64 inputs(const PoolDims& d) { return d.n * d.h * d.w * d.c; }
i64 outputs(const PoolDims& d) { return d.n * pool_out(d).h * pool_out(d).w * d.c; }

template <class T>
PoolCallT<T> call_of(const PoolDims& d, const T* x, T* y) {
  return {.dims = d, .out_h = pool_out(d).h, .out_w = pool_out(d).w, .x = x, .y = y};
}
template <class T>
PoolGradCallT<T> grad_of(const PoolDims& d, const T* x, const T* gy, T* gx) {
  return {.dims = d, .out_h = pool_out(d).h, .out_w = pool_out(d).w, .x = x, .gy = gy, .gx = gx};
}

std::vector<PoolDims> sweep() {
  std::vector<PoolDims> out;
  for (PoolKind kind : {PoolKind::max, PoolKind::avg}) {
    for (i64 kernel : {1, 2, 3, 5})
      for (i64 stride : {1, 2, 3})
        for (i64 pad = 0; pad <= kernel / 2; ++pad)
          for (i64 h : {1, 2, 4, 7}) {
            const PoolDims d{.n = 2,
                             .h = h,
                             .w = h + 1,
                             .c = 19,
                             .kernel = kernel,
                             .stride = stride,
                             .pad = pad,
                             .kind = kind};
            if (d.h + 2 * pad >= kernel) out.push_back(d);
          }
    for (i64 c = 1; c <= 35; ++c)
      out.push_back({.n = 1, .h = 5, .w = 5, .c = c, .kernel = 3, .stride = 2, .pad = 1, .kind = kind});
  }
  return out;
}

// Small integers have many equal values, so "the first maximum" is tested too. Sums are exact; an average is
// the correctly rounded quotient of an exact sum; only gradients of averages add rounded shares.
TEST(Pool, ExactOnIntegers) {
  for (Target target : testing::runnable_targets()) {
    Exec exec(target);
    for (const PoolDims& d : sweep()) {
      std::vector<float> x(size_t(inputs(d))), gx(x), y(size_t(outputs(d))), gy(y);
      testing::fill_integers(std::span<float>(x), 1, 3);
      testing::fill_integers(std::span<float>(gy), 2, 8);
      pool_ref(call_of(d, x.data(), y.data()));
      pool_grad_ref(grad_of(d, x.data(), gy.data(), gx.data()));
      GuardedBuffer got_y(outputs(d), 1), got_gx(inputs(d), 1);
      pool(exec, call_of(d, x.data(), got_y.data()));
      pool_grad(exec, grad_of(d, x.data(), gy.data(), got_gx.data()));
      ASSERT_TRUE(all_equal(Floats(got_y.values()), Floats(y))) << text(d) << " on " << target_name(target);
      // At most kernel^2 shares of at most 8 meet in one input.
      const double bound = d.kind == PoolKind::max
                               ? 0
                               : testing::rounding_bound(d.kernel * d.kernel, 8.0 * d.kernel * d.kernel);
      ASSERT_TRUE(all_close(Floats(got_gx.values()), Floats(gx), [&](i64) { return bound; }))
          << text(d) << " on " << target_name(target);
      ASSERT_TRUE(got_y.intact() && got_gx.intact()) << text(d);
    }
  }
}

TEST(Pool, CloseOnReals) {
  for (Target target : testing::runnable_targets()) {
    Exec exec(target);
    for (PoolKind kind : {PoolKind::max, PoolKind::avg})
      for (float low : {-1.0f, 0.0f}) {
        const PoolDims d{.n = 2, .h = 9, .w = 8, .c = 21, .kernel = 3, .stride = 2, .pad = 1, .kind = kind};
        std::vector<float> x(size_t(inputs(d))), gx(x), y(size_t(outputs(d))), gy(y);
        testing::fill_reals(std::span<float>(x), 1, low, 1);
        testing::fill_reals(std::span<float>(gy), 2, low, 1);
        const std::vector<double> dx(x.begin(), x.end()), dgy(gy.begin(), gy.end());
        std::vector<double> want_y(y.size()), want_gx(gx.size());
        pool(exec, call_of(d, dx.data(), want_y.data()));
        pool_grad(exec, grad_of(d, dx.data(), dgy.data(), want_gx.data()));
        pool(exec, call_of(d, x.data(), y.data()));
        pool_grad(exec, grad_of(d, x.data(), gy.data(), gx.data()));
        const auto bound = [](i64) { return testing::rounding_bound(9, 1); };  // sum of |x| / count <= 1
        EXPECT_TRUE(all_close(Floats(y), Doubles(want_y), bound)) << text(d);
        // Windows overlap in four inputs at most, shares are 1 / 4 at most, or 1 for the maximum.
        EXPECT_TRUE(all_close(Floats(gx), Doubles(want_gx), [](i64) {
          return testing::rounding_bound(4, 4);
        })) << text(d);
      }
  }
}

TEST(GlobalAvgPool, ExactOnIntegersAndCloseOnReals) {
  for (Target target : testing::runnable_targets()) {
    Exec exec(target);
    for (i64 hw : {1, 2, 7, 49})
      for (i64 c = 1; c <= 150; c += c < 36 ? 1 : 31) {
        const GlobalPoolDims d{.n = 2, .hw = hw, .c = c};
        std::vector<float> x(size_t(d.n * hw * c)), y(size_t(d.n * c)), gx(x);
        testing::fill_integers(std::span<float>(x), 1, 8);
        global_avg_pool_ref<float>({.dims = d, .x = x.data(), .y = y.data()});
        GuardedBuffer got(d.n * c, 1), got_gx(d.n * hw * c, 1);
        global_avg_pool(exec, GlobalAvgPoolCall{.dims = d, .x = x.data(), .y = got.data()});
        ASSERT_TRUE(all_equal(Floats(got.values()), Floats(y))) << hw << " pixels, " << c << " channels";
        global_avg_pool_grad_ref<float>({.dims = d, .gy = y.data(), .gx = gx.data()});
        global_avg_pool_grad(exec, GlobalAvgPoolGradCall{.dims = d, .gy = y.data(), .gx = got_gx.data()});
        ASSERT_TRUE(all_equal(Floats(got_gx.values()), Floats(gx))) << hw << " pixels, " << c << " channels";
        ASSERT_TRUE(got.intact() && got_gx.intact());

        for (float low : {-1.0f, 0.0f}) {
          testing::fill_reals(std::span<float>(x), 2, low, 1);
          const std::vector<double> dx(x.begin(), x.end());
          std::vector<double> want(y.size());
          global_avg_pool(exec, GlobalAvgPoolCallT<double>{.dims = d, .x = dx.data(), .y = want.data()});
          global_avg_pool(exec, GlobalAvgPoolCall{.dims = d, .x = x.data(), .y = y.data()});
          ASSERT_TRUE(
              all_close(Floats(y), Doubles(want), [&](i64) { return testing::rounding_bound(hw, 1); }));
        }
      }
  }
}

TEST(Pool, SameBitsInAnyCompany) {
  for (Target target : testing::runnable_targets())
    for (PoolKind kind : {PoolKind::max, PoolKind::avg}) {
      const PoolDims d{.n = 7, .h = 33, .w = 31, .c = 40, .kernel = 3, .stride = 2, .pad = 1, .kind = kind};
      Exec one(target, 1), two(target, 2);
      std::vector<float> x(size_t(inputs(d))), gx(x), gx2(x), y(size_t(outputs(d))), y2(y), gy(y);
      testing::fill_reals(std::span<float>(x), 1);
      testing::fill_reals(std::span<float>(gy), 2);
      pool(one, call_of(d, x.data(), y.data()));
      pool(two, call_of(d, x.data(), y2.data()));
      EXPECT_EQ(y, y2);
      pool_grad(one, grad_of(d, x.data(), gy.data(), gx.data()));
      pool_grad(two, grad_of(d, x.data(), gy.data(), gx2.data()));
      EXPECT_EQ(gx, gx2);
      PoolDims single = d;
      single.n = 1;
      std::vector<float> alone(y.size() / size_t(d.n));
      pool(one, call_of(single, x.data() + 3 * inputs(single), alone.data()));
      const auto from = y.begin() + 3 * i64(alone.size());
      EXPECT_EQ(alone, std::vector<float>(from, from + i64(alone.size())));

      const GlobalPoolDims g{.n = 7, .hw = 33 * 31, .c = 40}, g1{.n = 1, .hw = 33 * 31, .c = 40};
      std::vector<float> mean(size_t(7 * 40)), mean2(mean), mean_alone(40);
      global_avg_pool(one, GlobalAvgPoolCall{.dims = g, .x = x.data(), .y = mean.data()});
      global_avg_pool(two, GlobalAvgPoolCall{.dims = g, .x = x.data(), .y = mean2.data()});
      global_avg_pool(
          one, GlobalAvgPoolCall{.dims = g1, .x = x.data() + 3 * inputs(single), .y = mean_alone.data()});
      EXPECT_EQ(mean, mean2);
      EXPECT_EQ(mean_alone, std::vector<float>(mean.begin() + 120, mean.begin() + 160));
    }
}

TEST(Pool, DeclaredOperationsAreCounted) {
  for (PoolKind kind : {PoolKind::max, PoolKind::avg}) {
    const PoolDims d{.n = 2, .h = 5, .w = 4, .c = 3, .kernel = 3, .stride = 2, .pad = 1, .kind = kind};
    std::vector<Counting> x(size_t(inputs(d))), gx(x), y(size_t(outputs(d))), gy(y);
    Counting::reset();
    pool_ref(call_of(d, x.data(), y.data()));
    EXPECT_EQ(Counting::total(), pool_cost(d).other_ops);
    EXPECT_EQ(Counting::multiplies, pool_cost(d).macs);
    Counting::reset();
    pool_grad_ref(grad_of(d, x.data(), gy.data(), gx.data()));
    EXPECT_EQ(Counting::total(), pool_grad_cost(d).other_ops);
    EXPECT_EQ(Counting::multiplies, 0);
  }
  const GlobalPoolDims d{.n = 2, .hw = 6, .c = 3};
  std::vector<Counting> x(36), y(6);
  Counting::reset();
  global_avg_pool_ref<Counting>({.dims = d, .x = x.data(), .y = y.data()});
  EXPECT_EQ(Counting::total(), global_avg_pool_cost(d).other_ops);
  Counting::reset();
  global_avg_pool_grad_ref<Counting>({.dims = d, .gy = y.data(), .gx = x.data()});
  EXPECT_EQ(Counting::total(), global_avg_pool_grad_cost(d).other_ops);
}

TEST(Pool, ReferenceMatchesTorch) {
  Exec exec(Target::portable);
  int cases = 0;
  for (const testing::Golden& golden : testing::resize_pool_golden()) {
    if (golden.kind != testing::GoldenKind::max && golden.kind != testing::GoldenKind::avg) continue;
    const PoolDims d{.n = golden.n,
                     .h = golden.h,
                     .w = golden.w,
                     .c = golden.c,
                     .kernel = golden.kernel,
                     .stride = golden.stride,
                     .pad = golden.pad,
                     .kind = golden.kind == testing::GoldenKind::max ? PoolKind::max : PoolKind::avg};
    EXPECT_EQ(pool_out(d), (Extent{golden.out_h, golden.out_w}));
    const auto x = testing::golden_values(size_t(inputs(d))), gy = testing::golden_values(golden.y.size());
    std::vector<double> y(golden.y.size()), gx(x.size());
    pool(exec, call_of(d, x.data(), y.data()));
    pool_grad(exec, grad_of(d, x.data(), gy.data(), gx.data()));
    EXPECT_TRUE(all_close(Doubles(y), Doubles(golden.y), [](i64) { return 1e-14; })) << text(d);
    EXPECT_TRUE(all_close(Doubles(gx), Doubles(golden.gx), [](i64) { return 1e-14; })) << text(d);
    ++cases;
  }
  EXPECT_EQ(cases, 8);
}

TEST(Pool, ReferenceGradientsMatchCentralDifferences) {
  Exec exec(Target::portable);
  for (PoolKind kind : {PoolKind::max, PoolKind::avg}) {
    const PoolDims d{.n = 2, .h = 4, .w = 5, .c = 2, .kernel = 3, .stride = 1, .pad = 1, .kind = kind};
    std::vector<double> x(size_t(inputs(d))), gx(x), y(size_t(outputs(d))), gy(y);
    testing::fill_reals(std::span<double>(x), 1);
    testing::fill_reals(std::span<double>(gy), 2);
    pool_grad(exec, grad_of(d, x.data(), gy.data(), gx.data()));
    const auto objective = [&] {
      pool(exec, call_of(d, x.data(), y.data()));
      double sum = 0;
      for (size_t i = 0; i < y.size(); ++i) sum += y[i] * gy[i];
      return sum;
    };
    for (size_t i = 0; i < x.size(); ++i) {
      const double kept = x[i], step = 1e-7;  // small: a larger one could change which value is largest
      x[i] = kept + step;
      const double above = objective();
      x[i] = kept - step;
      const double below = objective();
      x[i] = kept;
      EXPECT_NEAR(gx[i], (above - below) / (2 * step), 1e-6);
    }
  }
}

TEST(Pool, RowsAreChosenByTargetAndRecordingTouchesNothing) {
  float* nowhere = reinterpret_cast<float*>(64);
  for (Target target : built_targets()) {
    Exec exec(target, 1, true);
    Recorder recorder{.dry = true};
    exec.recorder = &recorder;
    const PoolDims d{.n = 1, .h = 8, .w = 8, .c = 24, .kernel = 2, .stride = 2, .kind = PoolKind::max};
    const GlobalPoolDims g{.n = 1, .hw = 16, .c = 24};
    pool(exec, call_of(d, nowhere, nowhere));
    global_avg_pool(exec, GlobalAvgPoolCall{.dims = g, .x = nowhere, .y = nowhere});
    pool_grad(exec, grad_of(d, nowhere, nowhere, nowhere));
    global_avg_pool_grad(exec, GlobalAvgPoolGradCall{.dims = g, .gy = nowhere, .gx = nowhere});
    ASSERT_EQ(recorder.calls.size(), 4u);
    for (const RecordedCall& call : recorder.calls)
      EXPECT_TRUE(call.kernel.ends_with("/" + std::string(target_name(target)))) << call.kernel;
    EXPECT_EQ(std::get<PoolCall>(recorder.calls[0].call).dims, d);
    EXPECT_EQ(std::get<GlobalAvgPoolCall>(recorder.calls[1].call).dims, g);
    EXPECT_TRUE(std::holds_alternative<std::monostate>(recorder.calls[2].call));
    EXPECT_EQ(recorder.total().macs, 0);
  }
}

TEST(Pool, RefusesImpossibleSizes) {
  const PoolDims good{
      .n = 1, .h = 4, .w = 4, .c = 2, .kernel = 3, .stride = 2, .pad = 1, .kind = PoolKind::max};
  EXPECT_NO_THROW(require_pool(good));
  for (auto wrong :
       {&PoolDims::n, &PoolDims::h, &PoolDims::w, &PoolDims::c, &PoolDims::kernel, &PoolDims::stride}) {
    PoolDims d = good;
    d.*wrong = 0;
    EXPECT_THROW(require_pool(d), Error);
  }
  PoolDims d = good;
  d.pad = 2;
  EXPECT_THROW(require_pool(d), Error);
  d = good;
  d.kernel = 7;
  EXPECT_THROW(require_pool(d), Error);
  EXPECT_THROW(require_global_avg_pool({.n = 1, .hw = 0, .c = 3}), Error);
}

}  // namespace
}  // namespace offramp::kernels
