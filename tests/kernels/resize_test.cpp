#include "kernels/resize/resize.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/error.h"
#include "kernels/recorder.h"
#include "kernels/resize/resize_ref.h"
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

constexpr ResizeKind kKinds[] = {ResizeKind::bilinear, ResizeKind::bicubic};

std::string text(const ResizeDims& d) {
  const i64 v[] = {d.n, d.h, d.w, d.c, d.out_h, d.out_w};
  std::string s = d.kind == ResizeKind::bilinear ? "bilinear, n,h,w,c,oh,ow =" : "bicubic, n,h,w,c,oh,ow =";
  for (i64 i : v) s += " " + std::to_string(i);
  return s;
}
i64 inputs(const ResizeDims& d) { return d.n * d.h * d.w * d.c; }
i64 outputs(const ResizeDims& d) { return d.n * d.out_h * d.out_w * d.c; }

// Sum of the sizes of all coefficients of one axis is at most 1.5625 (bicubic at t = 1/2 with a =
// -0.75: 1.375).
constexpr double kGain = 1.5625 * 1.5625;

// Twice, half and a quarter of the size: all coefficients are short binary fractions, so integers give exact
// results.
TEST(Resize, ExactOnIntegersByPowersOfTwo) {
  for (Target target : testing::runnable_targets()) {
    Exec exec(target);
    for (ResizeKind kind : kKinds)
      for (i64 c = 1; c <= 35; c += c < 18 ? 1 : 17)
        for (const auto& [h, w, oh, ow] :
             {std::array<i64, 4>{2, 3, 4, 6}, {1, 2, 2, 4}, {6, 8, 3, 4}, {5, 3, 5, 6}, {8, 4, 2, 2}}) {
          const ResizeDims d{.n = 2, .h = h, .w = w, .c = c, .out_h = oh, .out_w = ow, .kind = kind};
          std::vector<float> x(size_t(inputs(d))), gx(x), y(size_t(outputs(d))), gy(y);
          testing::fill_integers(std::span<float>(x), 1, 8);
          testing::fill_integers(std::span<float>(gy), 2, 8);
          resize_ref<float>({.dims = d, .x = x.data(), .y = y.data()});
          resize_grad_ref<float>({.dims = d, .gy = gy.data(), .gx = gx.data()});
          GuardedBuffer got_y(outputs(d), 1), got_gx(inputs(d), 1);
          resize(exec, ResizeCall{.dims = d, .x = x.data(), .y = got_y.data()});
          resize_grad(exec, ResizeGradCall{.dims = d, .gy = gy.data(), .gx = got_gx.data()});
          ASSERT_TRUE(all_equal(Floats(got_y.values()), Floats(y)))
              << text(d) << " on " << target_name(target);
          ASSERT_TRUE(all_equal(Floats(got_gx.values()), Floats(gx)))
              << text(d) << " on " << target_name(target);
          ASSERT_TRUE(got_y.intact() && got_gx.intact()) << text(d);
        }
  }
}

TEST(Resize, CloseOnReals) {
  for (Target target : testing::runnable_targets()) {
    Exec exec(target);
    for (ResizeKind kind : kKinds)
      for (float low : {-1.0f, 0.0f})
        for (const auto& [h, w, oh, ow] :
             {std::array<i64, 4>{7, 5, 11, 9}, {9, 13, 5, 4}, {6, 6, 6, 6}, {32, 32, 48, 40}}) {
          const ResizeDims d{.n = 2, .h = h, .w = w, .c = 3, .out_h = oh, .out_w = ow, .kind = kind};
          std::vector<float> x(size_t(inputs(d))), gx(x), y(size_t(outputs(d))), gy(y);
          testing::fill_reals(std::span<float>(x), 1, low, 1);
          testing::fill_reals(std::span<float>(gy), 2, low, 1);
          const std::vector<double> dx(x.begin(), x.end()), dgy(gy.begin(), gy.end());
          std::vector<double> want_y(y.size()), want_gx(gx.size());
          resize(exec, ResizeCallT<double>{.dims = d, .x = dx.data(), .y = want_y.data()});
          resize_grad(exec, ResizeGradCallT<double>{.dims = d, .gy = dgy.data(), .gx = want_gx.data()});
          resize(exec, ResizeCall{.dims = d, .x = x.data(), .y = y.data()});
          resize_grad(exec, ResizeGradCall{.dims = d, .gy = gy.data(), .gx = gx.data()});
          // Coefficients are rounded too: one more rounding in each of the two sums.
          EXPECT_TRUE(all_close(Floats(y), Doubles(want_y), [](i64) {
            return testing::rounding_bound(10, kGain);
          })) << text(d);
          // Every input is read by at most 8 x 8 outputs here.
          EXPECT_TRUE(all_close(Floats(gx), Doubles(want_gx), [](i64) {
            return testing::rounding_bound(64, 4 * kGain);
          })) << text(d);
        }
  }
}

TEST(Resize, SameSizeIsTheIdentity) {
  for (Target target : testing::runnable_targets())
    for (ResizeKind kind : kKinds) {
      Exec exec(target);
      const ResizeDims d{.n = 1, .h = 5, .w = 6, .c = 7, .out_h = 5, .out_w = 6, .kind = kind};
      std::vector<float> x(size_t(inputs(d))), y(x.size());
      testing::fill_reals(std::span<float>(x), 1);
      resize(exec, ResizeCall{.dims = d, .x = x.data(), .y = y.data()});
      EXPECT_EQ(x, y);
    }
}

TEST(Resize, MatchesTorch) {
  int cases = 0;
  for (const testing::Golden& golden : testing::resize_pool_golden()) {
    if (golden.kind != testing::GoldenKind::bilinear && golden.kind != testing::GoldenKind::bicubic) continue;
    const ResizeDims d{
        .n = golden.n,
        .h = golden.h,
        .w = golden.w,
        .c = golden.c,
        .out_h = golden.out_h,
        .out_w = golden.out_w,
        .kind = golden.kind == testing::GoldenKind::bilinear ? ResizeKind::bilinear : ResizeKind::bicubic};
    const auto x = testing::golden_values(size_t(inputs(d))), gy = testing::golden_values(golden.y.size());
    std::vector<double> y(golden.y.size()), gx(x.size());
    Exec exec(Target::portable);
    resize(exec, ResizeCallT<double>{.dims = d, .x = x.data(), .y = y.data()});
    resize_grad(exec, ResizeGradCallT<double>{.dims = d, .gy = gy.data(), .gx = gx.data()});
    EXPECT_TRUE(all_close(Doubles(y), Doubles(golden.y), [](i64) { return 1e-13; })) << text(d);
    EXPECT_TRUE(all_close(Doubles(gx), Doubles(golden.gx), [](i64) { return 1e-13; })) << text(d);
    for (Target target : testing::runnable_targets()) {
      Exec fast(target);
      const std::vector<float> fx(x.begin(), x.end());
      std::vector<float> fy(y.size());
      resize(fast, ResizeCall{.dims = d, .x = fx.data(), .y = fy.data()});
      EXPECT_TRUE(all_close(Floats(fy), Doubles(golden.y), [](i64) { return 1e-5; })) << text(d);
    }
    ++cases;
  }
  EXPECT_EQ(cases, 10);
}

TEST(Resize, SameBitsInAnyCompany) {
  for (Target target : testing::runnable_targets())
    for (ResizeKind kind : kKinds) {
      const ResizeDims d{.n = 9, .h = 32, .w = 30, .c = 24, .out_h = 41, .out_w = 44, .kind = kind};
      Exec one(target, 1), two(target, 2);
      std::vector<float> x(size_t(inputs(d))), gx(x), gx2(x), y(size_t(outputs(d))), y2(y), gy(y);
      testing::fill_reals(std::span<float>(x), 1);
      testing::fill_reals(std::span<float>(gy), 2);
      resize(one, ResizeCall{.dims = d, .x = x.data(), .y = y.data()});
      resize(two, ResizeCall{.dims = d, .x = x.data(), .y = y2.data()});
      EXPECT_EQ(y, y2);
      resize_grad(one, ResizeGradCall{.dims = d, .gy = gy.data(), .gx = gx.data()});
      resize_grad(two, ResizeGradCall{.dims = d, .gy = gy.data(), .gx = gx2.data()});
      EXPECT_EQ(gx, gx2);
      ResizeDims single = d;
      single.n = 1;
      std::vector<float> alone(y.size() / size_t(d.n));
      resize(one, ResizeCall{.dims = single, .x = x.data() + 5 * inputs(single), .y = alone.data()});
      const auto from = y.begin() + 5 * i64(alone.size());
      EXPECT_EQ(alone, std::vector<float>(from, from + i64(alone.size())));
    }
}

TEST(Resize, DeclaredOperationsAreCounted) {
  for (ResizeKind kind : kKinds) {
    const ResizeDims d{.n = 2, .h = 3, .w = 4, .c = 3, .out_h = 5, .out_w = 3, .kind = kind};
    std::vector<Counting> x(size_t(inputs(d))), gx(x), y(size_t(outputs(d))), gy(y);
    Counting::reset();
    resize_ref<Counting>({.dims = d, .x = x.data(), .y = y.data()});
    EXPECT_EQ(Counting::multiplies, resize_cost(d).other_ops);
    EXPECT_EQ(Counting::others, Counting::multiplies);  // every multiplication is followed by its addition
    Counting::reset();
    resize_grad_ref<Counting>({.dims = d, .gy = gy.data(), .gx = gx.data()});
    EXPECT_EQ(Counting::multiplies, resize_grad_cost(d).other_ops);
    EXPECT_EQ(Counting::others, Counting::multiplies);
  }
}

TEST(Resize, ReferenceGradientsMatchCentralDifferences) {
  Exec exec(Target::portable);
  for (ResizeKind kind : kKinds) {
    const ResizeDims d{.n = 2, .h = 4, .w = 3, .c = 2, .out_h = 3, .out_w = 5, .kind = kind};
    std::vector<double> x(size_t(inputs(d))), gx(x), y(size_t(outputs(d))), gy(y);
    testing::fill_reals(std::span<double>(x), 1);
    testing::fill_reals(std::span<double>(gy), 2);
    resize_grad(exec, ResizeGradCallT<double>{.dims = d, .gy = gy.data(), .gx = gx.data()});
    const auto objective = [&] {
      resize(exec, ResizeCallT<double>{.dims = d, .x = x.data(), .y = y.data()});
      double sum = 0;
      for (size_t i = 0; i < y.size(); ++i) sum += y[i] * gy[i];
      return sum;
    };
    for (size_t i = 0; i < x.size(); ++i) {
      const double kept = x[i], step = 1e-4;
      x[i] = kept + step;
      const double above = objective();
      x[i] = kept - step;
      const double below = objective();
      x[i] = kept;
      EXPECT_NEAR(gx[i], (above - below) / (2 * step), 1e-8);
    }
  }
}

TEST(Resize, RowsAreChosenByTargetAndRecordingTouchesNothing) {
  float* nowhere = reinterpret_cast<float*>(64);
  for (Target target : built_targets()) {
    Exec exec(target, 1, true);
    Recorder recorder{.dry = true};
    exec.recorder = &recorder;
    const ResizeDims d{.n = 1, .h = 8, .w = 8, .c = 3, .out_h = 4, .out_w = 6, .kind = ResizeKind::bicubic};
    resize(exec, ResizeCall{.dims = d, .x = nowhere, .y = nowhere});
    resize_grad(exec, ResizeGradCall{.dims = d, .gy = nowhere, .gx = nowhere});
    ASSERT_EQ(recorder.calls.size(), 2u);
    for (const RecordedCall& call : recorder.calls)
      EXPECT_TRUE(call.kernel.ends_with("/" + std::string(target_name(target)))) << call.kernel;
    EXPECT_EQ(std::get<ResizeCall>(recorder.calls[0].call).dims, d);
    EXPECT_TRUE(std::holds_alternative<std::monostate>(recorder.calls[1].call));
    EXPECT_EQ(recorder.total().macs, 0);
  }
}

TEST(Resize, RefusesImpossibleSizes) {
  const ResizeDims good{.n = 1, .h = 4, .w = 4, .c = 2, .out_h = 3, .out_w = 2, .kind = ResizeKind::bilinear};
  EXPECT_NO_THROW(require_resize(good));
  for (auto wrong : {&ResizeDims::n, &ResizeDims::h, &ResizeDims::w, &ResizeDims::c, &ResizeDims::out_h,
                     &ResizeDims::out_w}) {
    ResizeDims d = good;
    d.*wrong = 0;
    EXPECT_THROW(require_resize(d), Error);
  }
}

}  // namespace
}  // namespace offramp::kernels
