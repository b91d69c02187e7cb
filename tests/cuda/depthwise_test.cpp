// Depthwise convolutions on the card, plain and between normalisations, against the reference in double.
#include "kernels/depthwise/depthwise.h"

#include "kernels/conv2d/conv2d.h"
#include "kernels/depthwise/depthwise_ref.h"
#include "tests/cuda/formed.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

// Small maps (several samples an item), bands, odd sizes and channels, every kernel and stride, and one
// general row.
const std::vector<DepthwiseDims> kCases = {
    {.n = 3, .h = 5, .w = 6, .c = 72, .kernel = 3, .stride = 1, .pad = 1},
    {.n = 2, .h = 9, .w = 7, .c = 24, .kernel = 5, .stride = 2, .pad = 2},
    {.n = 1, .h = 33, .w = 30, .c = 8, .kernel = 7, .stride = 1, .pad = 3},
    {.n = 7, .h = 2, .w = 2, .c = 40, .kernel = 7, .stride = 2, .pad = 3},
    {.n = 2, .h = 6, .w = 5, .c = 13, .kernel = 3, .stride = 2, .pad = 0},
    {.n = 2, .h = 4, .w = 4, .c = 16, .kernel = 5, .stride = 1, .pad = 2},
    {.n = 1, .h = 24, .w = 24, .c = 8, .kernel = 3, .stride = 2, .pad = 1},
    {.n = 1, .h = 6, .w = 6, .c = 5, .kernel = 4, .stride = 3, .pad = 1},
};
std::string name_of(const DepthwiseDims& d, bool whole, int multiprocessors) {
  return std::to_string(d.n) + "x" + std::to_string(d.h) + "x" + std::to_string(d.w) + "x" +
         std::to_string(d.c) + " k" + std::to_string(d.kernel) + " s" + std::to_string(d.stride) +
         (whole ? " integers, " : " reals, ") + std::to_string(multiprocessors) + " multiprocessors";
}

// No tensor cores: floats are multiplied as they are, whatever the mode; what is formed of Bf16 is held as
// Bf16.
template <class T>
using Rounds = std::conditional_t<std::is_same_v<T, Bf16>, BFloat, ExactFloat>;

// Sizes, and the sums in double. The kernel may be the centre of a larger one.
struct Shape {
  DepthwiseDims d;
  i64 larger;
  Extent out;
  i64 ins, outs, weights;
  explicit Shape(const DepthwiseDims& dims, i64 of_kernel = 0)
      : d(dims),
        larger(of_kernel ? of_kernel : d.kernel),
        out(depthwise_out(d)),
        ins(d.n * d.h * d.w * d.c),
        outs(d.n * out.h * out.w * d.c),
        weights(d.c * d.kernel * d.kernel) {}
  template <class V>
  WeightViewT<V> view(const V* w) const {
    return crop_kernel(WeightViewT<V>{w, larger * larger, larger, 1}, larger, d.kernel);
  }
  template <class Mode>
  Wanted y(const Doubles& x, const std::vector<float>& w) const {
    return sums<Mode>(d.kernel * d.kernel, [&](const Map& f) {
      const Doubles fx = mapped(f, x), fw = mapped(f, w);
      Doubles y = room_for(outs);
      depthwise_ref(DepthwiseCallT<double>{
          .dims = d, .out_h = out.h, .out_w = out.w, .x = fx.data(), .w = view(fw.data()), .y = y.data()});
      return y;
    });
  }
  template <class Mode>
  Wanted gradient(const Doubles& x, const std::vector<float>& w, const Doubles& gy, bool of_x) const {
    return sums<Mode>(of_x ? d.kernel * d.kernel : d.n * out.h * out.w, [&](const Map& f) {
      const Doubles fx = mapped(f, x), fw = mapped(f, w), fg = mapped(f, gy);
      Doubles g = room_for(of_x ? ins : weights);
      depthwise_grad_ref(DepthwiseGradCallT<double>{.dims = d,
                                                    .out_h = out.h,
                                                    .out_w = out.w,
                                                    .x = fx.data(),
                                                    .w = view(fw.data()),
                                                    .gy = fg.data(),
                                                    .gx = of_x ? g.data() : nullptr,
                                                    .gw = of_x ? nullptr : g.data()});
      return g;
    });
  }
};

template <class Mode>
struct CudaDepthwise : ::testing::Test {};
TYPED_TEST_SUITE(CudaDepthwise, Modes);

template <class Mode>
void check_plain(const Shape& s, bool whole) {
  using T = typename Mode::T;
  const DepthwiseDims& d = s.d;
  Exec card(offramp::cuda::Gpu::instance(), Mode::kMath);
  const Operands<T> of{whole};
  const auto x = of.tensor(s.ins, 1), w = of.tensor(d.c * s.larger * s.larger, 2),
             bias = of.parameter(d.c, 3), gy = of.tensor(s.outs, 4);
  const Wanted y = then(s.y<Rounds<T>>(doubles(x), w), 1, [&](i64 i, double v) {
    return apply_act(Act::relu, v + double(bias[size_t(i % d.c)]));
  });
  DeviceArray<T> dx(x), dgy(gy), dy(s.outs), dgx(s.ins);
  DeviceArray<float> dw(w), db(bias), dgw(s.weights);
  const WeightView on_card = s.view(static_cast<const float*>(dw.data()));
  std::vector<float> first;
  for (int again = 0; again < 2; ++again) {
    depthwise(card, DepthwiseCallT<T>{.dims = d,
                                      .out_h = s.out.h,
                                      .out_w = s.out.w,
                                      .x = dx.data(),
                                      .w = on_card,
                                      .bias = db.data(),
                                      .act = Act::relu,
                                      .y = dy.data()});
    depthwise_grad(card, DepthwiseGradCallT<T>{.dims = d,
                                               .out_h = s.out.h,
                                               .out_w = s.out.w,
                                               .x = dx.data(),
                                               .w = on_card,
                                               .gy = dgy.data(),
                                               .gx = dgx.data(),
                                               .gw = dgw.data()});
    if (again) {
      EXPECT_TRUE(same_bits(dgw.floats(), first));
    }
    first = dgw.floats();
  }
  EXPECT_TRUE(matches<T>(dy.floats(), y, whole));
  EXPECT_TRUE(matches<T>(dgx.floats(), s.gradient<Rounds<T>>(doubles(x), w, doubles(gy), true), whole));
  EXPECT_TRUE(matches<float>(dgw.floats(), s.gradient<Rounds<T>>(doubles(x), w, doubles(gy), false), whole));
  EXPECT_TRUE(dy.intact() && dgx.intact() && dgw.intact());
}

TYPED_TEST(CudaDepthwise, PlainIsTheReferenceInDouble) {
  OFFRAMP_NEEDS_CARD();
  for (const DepthwiseDims& d : kCases)
    for (const bool whole : {false, true})
      for (const int multiprocessors : kMultiprocessors) {
        SCOPED_TRACE(name_of(d, whole, multiprocessors));
        const SupposedCard supposed(multiprocessors);
        check_plain<TypeParam>(Shape(d), whole);
      }
}

TYPED_TEST(CudaDepthwise, KernelCropsAreViews) {
  OFFRAMP_NEEDS_CARD();
  for (DepthwiseDims d : kCases)
    for (const bool whole : {false, true}) {
      if (d.kernel == 4 || d.kernel == 7) continue;
      SCOPED_TRACE(name_of(d, whole, 4));
      check_plain<TypeParam>(Shape(d, 7), whole);
    }
}

template <class Mode>
void check_normed(const DepthwiseDims& d, bool normed, bool whole) {
  using T = typename Mode::T;
  Exec card(offramp::cuda::Gpu::instance(), Mode::kMath);
  const Shape s(d);
  const Operands<T> of{whole};
  const auto x = of.tensor(s.ins, 1), w = of.tensor(s.weights, 2), dz = of.tensor(s.outs, 4),
             raw = of.tensor(s.outs, 5), residual = of.tensor(s.ins, 6);
  const auto of_mean = of.parameter(d.c, 17), of_var = of.parameter(d.c, 18);
  const Norm<T> in(of, d.c, 10), behind(of, d.c, 30);
  const Act act = whole ? Act::relu : Act::hard_swish;
  const NormedDims pixels{.rows = d.n * d.h * d.w, .c_in = d.c, .c_out = d.c, .hw = d.h * d.w};
  Doubles z, gy = doubles(dz);
  const Doubles read = formed(pixels, x, in, normed, nullptr, act, &z);
  for (size_t i = 0; i < gy.size(); ++i) {
    const size_t c = i % size_t(d.c);
    gy[i] = (double(behind.scale[c]) * gy[i] - double(of_mean[c])) -
            (double(raw[i]) - double(behind.mean[c])) * double(of_var[c]);
  }
  const i64 taps = d.kernel * d.kernel;
  const Wanted y = from_formed(s.y<Rounds<T>>(read, w), taps, whole),
               gw =
                   from_formed(s.gradient<Rounds<T>>(read, w, gy, false), 2 * d.n * s.out.h * s.out.w, whole);
  const Wanted gx =
      then(from_formed(s.gradient<Rounds<T>>(read, w, gy, true), taps, whole), 1.5, [&](i64 i, double v) {
        return normed ? v * act_slope(act, z[size_t(i)]) : v + double(residual[size_t(i)]);
      });
  DeviceArray<T> dx(x), ddz(dz), draw(raw), dres(residual), dy(s.outs), dgx(s.ins);
  DeviceArray<float> dw(w), dmean(in.mean), dscale(in.scale), dbeta(in.beta), dvar(in.var),
      dgamma(behind.gamma), dmean2(behind.mean), dscale2(behind.scale), dom(of_mean), dov(of_var);
  DeviceArray<float> y_mean(d.c), y_var(d.c), y_scale(d.c), dgw(s.weights), dgg(d.c), dgb(d.c), dfm(d.c),
      dfv(d.c);
  const WeightView on_card = s.view(static_cast<const float*>(dw.data()));
  const NormedT<T> card_in{.x = dx.data(),
                           .mean = normed ? dmean.data() : nullptr,
                           .scale = dscale.data(),
                           .beta = dbeta.data(),
                           .act = act};
  std::vector<float> first;
  for (int again = 0; again < 2; ++again) {
    normed_depthwise(card, NormedDepthwiseCallT<T>{
                               .dims = d,
                               .out_h = s.out.h,
                               .out_w = s.out.w,
                               .in = card_in,
                               .w = on_card,
                               .y = dy.data(),
                               .out = {dgamma.data(), kEps, y_mean.data(), y_var.data(), y_scale.data()}});
    normed_depthwise_grad(
        card, NormedDepthwiseGradCallT<T>{
                  .dims = d,
                  .out_h = s.out.h,
                  .out_w = s.out.w,
                  .in = card_in,
                  .gy = {ddz.data(), draw.data(), dmean2.data(), dscale2.data(), dom.data(), dov.data()},
                  .w = on_card,
                  .gw = dgw.data(),
                  .gx = dgx.data(),
                  .residual = normed ? nullptr : dres.data(),
                  .out = {dvar.data(), kEps, dgg.data(), dgb.data(), dfm.data(), dfv.data()}});
    std::vector<float> now = dgw.floats();
    for (const auto* part : {&y_mean, &y_var, &dgg, &dgb}) {
      const auto more = part->floats();
      now.insert(now.end(), more.begin(), more.end());
    }
    if (again) {
      EXPECT_TRUE(same_bits(now, first));
    }
    first = now;
  }
  const NormedDims results{.rows = d.n * s.out.h * s.out.w, .c_in = d.c, .c_out = d.c};
  EXPECT_TRUE(matches<T>(dy.floats(), y, whole));
  check_statistics<T>(results, y, whole, behind.gamma, y_mean.floats(), y_var.floats(), y_scale.floats());
  EXPECT_TRUE(matches<T>(dgx.floats(), gx, whole));
  EXPECT_TRUE(matches<float>(dgw.floats(), gw, whole));
  EXPECT_TRUE(dy.intact() && dgx.intact() && dgw.intact() && y_mean.intact() && y_var.intact() &&
              y_scale.intact());
  if (!normed) return;
  const SlopeResults want = slope_results<T>(gx, x, in, whole);
  EXPECT_TRUE(matches<float>(dgg.floats(), want.gg, whole));
  EXPECT_TRUE(matches<float>(dgb.floats(), want.gb, whole));
  EXPECT_TRUE(matches<float>(dfm.floats(), want.om, whole));
  EXPECT_TRUE(matches<float>(dfv.floats(), want.ov, whole));
}

TYPED_TEST(CudaDepthwise, NormedIsTheSumInDouble) {
  OFFRAMP_NEEDS_CARD();
  for (const DepthwiseDims& d : kCases)
    for (const bool normed : {true, false})
      for (const bool whole : {false, true})
        for (const int multiprocessors : kMultiprocessors) {
          if (d.kernel == 4) continue;
          SCOPED_TRACE(name_of(d, whole, multiprocessors));
          const SupposedCard supposed(multiprocessors);
          check_normed<TypeParam>(d, normed, whole);
        }
}

}  // namespace
}  // namespace offramp::kernels
