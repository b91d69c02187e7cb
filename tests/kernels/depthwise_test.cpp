#include "kernels/depthwise/depthwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/depthwise/depthwise_ref.h"
#include "kernels/error.h"
#include "kernels/recorder.h"
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

std::string text(const DepthwiseDims& d) {
  const i64 v[] = {d.n, d.h, d.w, d.c, d.kernel, d.stride, d.pad};
  std::string s = "n,h,w,c,k,s,p =";
  for (i64 i : v) s += " " + std::to_string(i);
  return s;
}

// Inputs and sizes of one case, in one scalar.
template <class T>
struct Data {
  DepthwiseDims d;
  Extent out = depthwise_out(d);
  std::vector<T> x = std::vector<T>(size_t(d.n * d.h * d.w * d.c)), w = std::vector<T>(size_t(weights()));
  std::vector<T> gy = std::vector<T>(size_t(outputs())), bias = std::vector<T>(size_t(d.c));

  i64 weights() const { return d.c * d.kernel * d.kernel; }
  i64 outputs() const { return d.n * out.h * out.w * d.c; }
  WeightViewT<T> view() const { return {w.data(), d.kernel * d.kernel, d.kernel, 1}; }
  DepthwiseCallT<T> call(T* y, bool with_bias = true) const {
    return {.dims = d,
            .out_h = out.h,
            .out_w = out.w,
            .x = x.data(),
            .w = view(),
            .bias = with_bias ? bias.data() : nullptr,
            .y = y};
  }
  DepthwiseGradCallT<T> grad(T* gx, T* gw) const {
    return {.dims = d,
            .out_h = out.h,
            .out_w = out.w,
            .x = x.data(),
            .w = view(),
            .gy = gy.data(),
            .gx = gx,
            .gw = gw};
  }
  template <class Fill>
  void fill(Fill&& f) {
    f(std::span<T>(x), 1), f(std::span<T>(w), 2), f(std::span<T>(gy), 3), f(std::span<T>(bias), 4);
  }
  template <class U>
  Data<U> as() const {
    Data<U> r{.d = d};
    r.x.assign(x.begin(), x.end()), r.w.assign(w.begin(), w.end());
    r.gy.assign(gy.begin(), gy.end()), r.bias.assign(bias.begin(), bias.end());
    return r;
  }
  Data absolute() const {
    Data r = *this;
    for (auto* v : {&r.x, &r.w, &r.gy, &r.bias})
      for (T& e : *v) e = std::fabs(e);
    return r;
  }
};

// Around every border: vector and tile widths, images smaller than the kernel, odd sizes, all paddings.
std::vector<DepthwiseDims> sweep() {
  std::vector<DepthwiseDims> out;
  const auto add = [&](DepthwiseDims d) {
    if (d.h + 2 * d.pad >= d.kernel && d.w + 2 * d.pad >= d.kernel) out.push_back(d);
  };
  for (i64 kernel : {1, 2, 3, 5, 7})
    for (i64 stride : {1, 2, 3})
      for (i64 pad = 0; pad <= kernel / 2; ++pad) {
        for (i64 w = 1; w <= 19; ++w)
          add({.n = 1, .h = 5, .w = w, .c = 19, .kernel = kernel, .stride = stride, .pad = pad});
        for (i64 w : {23, 24, 32, 35, 48})
          add({.n = 1, .h = 3, .w = w, .c = 16, .kernel = kernel, .stride = stride, .pad = pad});
        for (i64 h = 1; h <= 9; ++h)
          add({.n = 2, .h = h, .w = 6, .c = 8, .kernel = kernel, .stride = stride, .pad = pad});
      }
  for (i64 kernel : {3, 5, 7})
    for (i64 stride : {1, 2})
      for (i64 c = 1; c <= 35; c += c < 17 ? 1 : 6)
        add({.n = 2, .h = 6, .w = 7, .c = c, .kernel = kernel, .stride = stride, .pad = kernel / 2});
  add({.n = 1, .h = 9, .w = 9, .c = 5, .kernel = 3, .stride = 1, .pad = 4});   // padding as large as it gets
  add({.n = 33, .h = 4, .w = 4, .c = 5, .kernel = 3, .stride = 1, .pad = 1});  // several groups of samples
  return out;
}

TEST(Depthwise, ExactOnIntegers) {
  for (Target target : testing::runnable_targets()) {
    Exec exec(target);
    for (const DepthwiseDims& d : sweep()) {
      Data<float> data{.d = d};
      data.fill([](auto values, u64 seed) { testing::fill_integers(values, seed, 8); });
      ASSERT_TRUE(testing::exact_in_float(d.n * data.out.h * data.out.w + 50, 8));
      std::vector<float> y(data.gy.size()), gx(data.x.size()), gw(data.w.size());
      depthwise_ref(data.call(y.data()));
      depthwise_grad_ref(data.grad(gx.data(), gw.data()));

      GuardedBuffer got_y(i64(y.size()), 1), got_gx(i64(gx.size()), 1), got_gw(i64(gw.size()), 1);
      depthwise(exec, data.call(got_y.data()));
      depthwise_grad(exec, data.grad(got_gx.data(), got_gw.data()));
      const std::string where = text(d) + " on " + std::string(target_name(target));
      using S = std::span<const float>;
      ASSERT_TRUE(all_equal(S(got_y.values()), S(y))) << "y, " << where;
      ASSERT_TRUE(all_equal(S(got_gx.values()), S(gx))) << "gx, " << where;
      ASSERT_TRUE(all_equal(S(got_gw.values()), S(gw))) << "gw, " << where;
      ASSERT_TRUE(got_y.intact() && got_gx.intact() && got_gw.intact()) << where;
    }
  }
}

TEST(Depthwise, CloseOnReals) {
  using S = std::span<const float>;
  using D = std::span<const double>;
  for (Target target : testing::runnable_targets()) {
    Exec exec(target);
    for (i64 kernel : {2, 3, 5, 7})
      for (i64 stride : {1, 2})
        for (float low : {-1.0f, 0.0f}) {
          const DepthwiseDims d{
              .n = 3, .h = 15, .w = 18, .c = 21, .kernel = kernel, .stride = stride, .pad = kernel / 2};
          Data<float> data{.d = d};
          data.fill([&](auto values, u64 seed) { testing::fill_reals(values, seed, low, 1); });
          const Data<double> truth = data.as<double>(), size = truth.absolute();
          std::vector<double> y(data.gy.size()), gx(data.x.size()), gw(data.w.size());
          std::vector<double> size_y(y), size_gx(gx), size_gw(gw);
          depthwise(exec, truth.call(y.data()));
          depthwise_grad(exec, truth.grad(gx.data(), gw.data()));
          depthwise_ref(size.call(size_y.data()));
          depthwise_grad_ref(size.grad(size_gx.data(), size_gw.data()));

          std::vector<float> got_y(y.size()), got_gx(gx.size()), got_gw(gw.size());
          depthwise(exec, data.call(got_y.data()));
          depthwise_grad(exec, data.grad(got_gx.data(), got_gw.data()));
          const i64 taps = kernel * kernel;
          const auto bound = [](i64 count, const std::vector<double>& sizes) {
            return [count, &sizes](i64 i) { return testing::rounding_bound(count, sizes[size_t(i)]); };
          };
          ASSERT_TRUE(all_close(S(got_y), D(y), bound(taps + 1, size_y))) << text(d);
          ASSERT_TRUE(all_close(S(got_gx), D(gx), bound(taps, size_gx))) << text(d);
          ASSERT_TRUE(all_close(S(got_gw), D(gw), bound(d.n * data.out.h * data.out.w, size_gw))) << text(d);
        }
  }
}

TEST(Depthwise, ActivationFollowsBias) {
  for (Target target : testing::runnable_targets()) {
    Exec exec(target);
    for (Act act : {Act::relu, Act::relu6, Act::hard_swish, Act::hard_sigmoid, Act::sigmoid})
      for (i64 kernel : {2, 3}) {
        Data<float> data{.d = {.n = 1, .h = 9, .w = 11, .c = 19, .kernel = kernel, .pad = 1}};
        data.fill([](auto values, u64 seed) { testing::fill_reals(values, seed, -3, 3); });
        const Data<double> truth = data.as<double>();
        std::vector<double> y(data.gy.size());
        std::vector<float> got(y.size());
        DepthwiseCallT<double> want_call = truth.call(y.data());
        DepthwiseCall call = data.call(got.data());
        want_call.act = call.act = act;
        depthwise_ref(want_call);
        depthwise(exec, call);
        // Sums stay below 100 in size, no slope exceeds 1.5.
        ASSERT_TRUE(
            all_close(std::span<const float>(got), std::span<const double>(y), [](i64) { return 1e-4; }))
            << int(act) << " on " << target_name(target);
      }
  }
}

TEST(Depthwise, CentreCropsOfALargerKernelAreViews) {
  const i64 c = 21, big = 7;
  std::vector<float> weights(size_t(c * big * big));
  testing::fill_integers(std::span<float>(weights), 5, 8);
  for (Target target : testing::runnable_targets()) {
    Exec exec(target);
    for (i64 kernel : {3, 5, 7}) {
      Data<float> data{.d = {.n = 1, .h = 8, .w = 9, .c = c, .kernel = kernel, .pad = kernel / 2}};
      data.fill([](auto values, u64 seed) { testing::fill_integers(values, seed, 8); });
      const i64 skip = (big - kernel) / 2;
      const WeightView crop{weights.data() + skip * (big + 1), big * big, big, 1};
      for (i64 i = 0; i < data.weights(); ++i) {
        const i64 row = i / kernel % kernel, col = i % kernel, channel = i / kernel / kernel;
        data.w[size_t(i)] = weights[size_t(channel * big * big + (row + skip) * big + col + skip)];
      }
      std::vector<float> y(data.gy.size()), got(y), gx(data.x.size()), got_gx(gx);
      depthwise(exec, data.call(y.data()));
      depthwise_grad(exec, data.grad(gx.data(), nullptr));
      DepthwiseCall call = data.call(got.data());
      DepthwiseGradCall grad = data.grad(got_gx.data(), nullptr);
      call.w = grad.w = crop;
      depthwise(exec, call);
      depthwise_grad(exec, grad);
      EXPECT_EQ(y, got);
      EXPECT_EQ(gx, got_gx);
    }
  }
}

TEST(Depthwise, SameBitsInAnyCompany) {
  for (Target target : testing::runnable_targets())
    for (i64 kernel : {3, 4, 5, 7})
      for (i64 stride : {1, 2}) {
        const DepthwiseDims d{
            .n = 9, .h = 14, .w = 19, .c = 40, .kernel = kernel, .stride = stride, .pad = kernel / 2};
        Data<float> data{.d = d};
        data.fill([](auto values, u64 seed) { testing::fill_reals(values, seed); });
        Exec one(target, 1), two(target, 2);
        std::vector<float> y(data.gy.size()), gx(data.x.size()), gw(data.w.size());
        depthwise(one, data.call(y.data()));
        depthwise_grad(one, data.grad(gx.data(), gw.data()));

        std::vector<float> y2(y.size()), gx2(gx.size()), gw2(gw.size());
        depthwise(two, data.call(y2.data()));
        depthwise_grad(two, data.grad(gx2.data(), gw2.data()));
        EXPECT_EQ(y, y2) << text(d);
        EXPECT_EQ(gx, gx2) << text(d);
        EXPECT_EQ(gw, gw2) << text(d);

        std::vector<float> packed(size_t(depthwise_packed_floats(d, target)));
        depthwise_pack(d, target, data.view(), packed.data());
        DepthwiseDims single = d;
        single.n = 1;
        EXPECT_EQ(depthwise_packed_floats(single, target), i64(packed.size()));
        for (i64 n : {0, 5, 8}) {
          std::vector<float> alone(y.size() / size_t(d.n));
          DepthwiseCall call = data.call(alone.data());
          call.dims.n = 1;
          call.x += n * d.h * d.w * d.c;
          call.packed = packed.data();
          call.w.data = nullptr;  // the packed copy is enough
          depthwise(one, call);
          const auto from = y.begin() + i64(alone.size()) * n;
          EXPECT_EQ(alone, std::vector<float>(from, from + i64(alone.size()))) << text(d) << ", sample " << n;
        }
      }
}

TEST(Depthwise, DeclaredMacsAreCounted) {
  for (const DepthwiseDims& d :
       {DepthwiseDims{.n = 2, .h = 5, .w = 4, .c = 3, .kernel = 3, .stride = 2, .pad = 1},
        DepthwiseDims{.n = 1, .h = 3, .w = 7, .c = 2, .kernel = 5, .stride = 1, .pad = 2}}) {
    Data<Counting> data{.d = d};
    std::vector<Counting> y(data.gy.size()), gx(data.x.size()), gw(data.w.size());
    Counting::reset();
    depthwise_ref(data.call(y.data()));
    EXPECT_EQ(Counting::multiplies, depthwise_cost(d).macs);
    Counting::reset();
    depthwise_grad_ref(data.grad(gx.data(), nullptr));
    EXPECT_EQ(Counting::multiplies, depthwise_input_grad_cost(d).macs);
    Counting::reset();
    depthwise_grad_ref(data.grad(nullptr, gw.data()));
    EXPECT_EQ(Counting::multiplies, depthwise_weight_grad_cost(d).macs);
  }
  constexpr DepthwiseDims d{.n = 1, .h = 28, .w = 28, .c = 48, .kernel = 3, .stride = 2, .pad = 1};
  static_assert(depthwise_out(d) == Extent{14, 14});
  static_assert(depthwise_cost(d).macs == 14 * 14 * 48 * 9);
}

TEST(Depthwise, ReferenceGradientsMatchCentralDifferences) {
  Exec exec(Target::portable);
  for (i64 stride : {1, 2, 3})
    for (i64 kernel : {2, 3}) {
      Data<double> data{.d = {.n = 2, .h = 4, .w = 5, .c = 2, .kernel = kernel, .stride = stride, .pad = 1}};
      data.fill([](auto values, u64 seed) { testing::fill_reals(values, seed); });
      std::vector<double> gx(data.x.size()), gw(data.w.size()), y(data.gy.size());
      depthwise_grad(exec, data.grad(gx.data(), gw.data()));
      const auto objective = [&] {
        depthwise(exec, data.call(y.data()));
        double sum = 0;
        for (size_t i = 0; i < y.size(); ++i) sum += y[i] * data.gy[i];
        return sum;
      };
      const auto check = [&](std::vector<double>& values, const std::vector<double>& gradient) {
        for (size_t i = 0; i < values.size(); ++i) {
          const double kept = values[i], step = 1e-4;
          values[i] = kept + step;
          const double above = objective();
          values[i] = kept - step;
          const double below = objective();
          values[i] = kept;
          EXPECT_NEAR(gradient[i], (above - below) / (2 * step), 1e-8);
        }
      };
      check(data.x, gx);
      check(data.w, gw);
    }
}

TEST(Depthwise, RowsAreChosenByTargetAndRecordingTouchesNothing) {
  for (Target target : built_targets()) {
    Exec exec(target, 1, true);
    Recorder recorder{.dry = true};
    exec.recorder = &recorder;
    float* nowhere = reinterpret_cast<float*>(64);
    const DepthwiseDims d{.n = 1, .h = 8, .w = 8, .c = 24, .kernel = 5, .pad = 2};
    const WeightView w{nowhere, 25, 5, 1};
    depthwise(exec, DepthwiseCall{.dims = d, .out_h = 8, .out_w = 8, .x = nowhere, .w = w, .y = nowhere});
    depthwise_grad(exec, DepthwiseGradCall{.dims = d,
                                           .out_h = 8,
                                           .out_w = 8,
                                           .x = nowhere,
                                           .w = w,
                                           .gy = nowhere,
                                           .gx = nowhere,
                                           .gw = nowhere});
    ASSERT_EQ(recorder.calls.size(), 3u);
    for (const RecordedCall& call : recorder.calls) {
      EXPECT_TRUE(call.kernel.ends_with("/" + std::string(target_name(target)))) << call.kernel;
      EXPECT_EQ(call.cost.macs, 8 * 8 * 24 * 25);
    }
    EXPECT_EQ(std::get<DepthwiseCall>(recorder.calls[0].call).dims, d);
    EXPECT_TRUE(std::holds_alternative<std::monostate>(recorder.calls[1].call));
  }
}

TEST(Depthwise, RefusesImpossibleSizes) {
  const DepthwiseDims good{.n = 1, .h = 4, .w = 4, .c = 2, .kernel = 3, .stride = 1, .pad = 1};
  EXPECT_NO_THROW(require_depthwise(good));
  for (auto wrong : {&DepthwiseDims::n, &DepthwiseDims::h, &DepthwiseDims::w, &DepthwiseDims::c,
                     &DepthwiseDims::kernel, &DepthwiseDims::stride}) {
    DepthwiseDims d = good;
    d.*wrong = 0;
    EXPECT_THROW(require_depthwise(d), Error);
  }
  DepthwiseDims d = good;
  d.pad = -1;
  EXPECT_THROW(require_depthwise(d), Error);
  d = good;
  d.kernel = 7;
  EXPECT_THROW(require_depthwise(d), Error);
}

}  // namespace
}  // namespace offramp::kernels
