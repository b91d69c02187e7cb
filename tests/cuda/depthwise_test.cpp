// Depthwise convolutions on the card, plain and between normalisations, against the host's.
#include "kernels/normed/normed.h"
#include "tests/cuda/modes.h"

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
std::string name_of(const DepthwiseDims& d) {
  return std::to_string(d.n) + "x" + std::to_string(d.h) + "x" + std::to_string(d.w) + "x" +
         std::to_string(d.c) + " k" + std::to_string(d.kernel) + " s" + std::to_string(d.stride);
}

template <class Mode>
struct CudaDepthwise : ::testing::Test {};
TYPED_TEST_SUITE(CudaDepthwise, Modes);

TYPED_TEST(CudaDepthwise, PlainIsTheHosts) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  Exec card(offramp::cuda::Gpu::instance(), TypeParam::kMath), host;
  for (const DepthwiseDims& d : kCases)
    for (const bool whole : {false, true}) {  // integers: exact where floats are
      SCOPED_TRACE(name_of(d));
      const Extent out = depthwise_out(d);
      const i64 ins = d.n * d.h * d.w * d.c, outs = d.n * out.h * out.w * d.c,
                taps = d.c * d.kernel * d.kernel;
      const auto make = [&](i64 count, u64 seed) {
        return whole ? integers(count, seed, 4) : rounded_to<T>(reals(count, seed));
      };
      const auto x = make(ins, 1), w = make(taps, 2), bias = make(d.c, 3), gy = make(outs, 4);
      const WeightView view{w.data(), d.kernel * d.kernel, d.kernel, 1};
      std::vector<float> y(static_cast<size_t>(outs)), gx(static_cast<size_t>(ins)),
          gw(static_cast<size_t>(taps));
      depthwise(host, DepthwiseCall{.dims = d,
                                    .out_h = out.h,
                                    .out_w = out.w,
                                    .x = x.data(),
                                    .w = view,
                                    .bias = bias.data(),
                                    .act = Act::relu,
                                    .y = y.data()});
      depthwise_grad(host, DepthwiseGradCall{.dims = d,
                                             .out_h = out.h,
                                             .out_w = out.w,
                                             .x = x.data(),
                                             .w = view,
                                             .gy = gy.data(),
                                             .gx = gx.data(),
                                             .gw = gw.data()});
      DeviceArray<T> dx(x), dgy(gy), dy(outs), dgx(ins);
      DeviceArray<float> dw(w), db(bias), dgw(taps);
      const WeightView on_card{dw.data(), d.kernel * d.kernel, d.kernel, 1};
      depthwise(card, DepthwiseCallT<T>{.dims = d,
                                        .out_h = out.h,
                                        .out_w = out.w,
                                        .x = dx.data(),
                                        .w = on_card,
                                        .bias = db.data(),
                                        .act = Act::relu,
                                        .y = dy.data()});
      depthwise_grad(card, DepthwiseGradCallT<T>{.dims = d,
                                                 .out_h = out.h,
                                                 .out_w = out.w,
                                                 .x = dx.data(),
                                                 .w = on_card,
                                                 .gy = dgy.data(),
                                                 .gx = dgx.data(),
                                                 .gw = dgw.data()});
      const bool exact = whole && std::is_same_v<T, float>;
      const double t = exact ? 0 : TypeParam::kTolerance;
      EXPECT_TRUE(near(dy.floats(), y, t));
      EXPECT_TRUE(near(dgx.floats(), gx, t));
      EXPECT_TRUE(near(dgw.floats(), gw, t));
      EXPECT_TRUE(dy.intact() && dgx.intact() && dgw.intact());
    }
}

TYPED_TEST(CudaDepthwise, NormedIsTheHosts) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  Exec card(offramp::cuda::Gpu::instance(), TypeParam::kMath), host;
  for (const DepthwiseDims& d : kCases)
    for (const bool normed : {true, false}) {
      if (d.kernel == 4) continue;
      SCOPED_TRACE(name_of(d));
      const Extent out = depthwise_out(d);
      const i64 ins = d.n * d.h * d.w * d.c, outs = d.n * out.h * out.w * d.c,
                taps = d.c * d.kernel * d.kernel;
      const auto x = rounded_to<T>(reals(ins, 1)), w = reals(taps, 2), dz = rounded_to<T>(reals(outs, 4)),
                 raw = rounded_to<T>(reals(outs, 5)), residual = rounded_to<T>(reals(ins, 6));
      const auto c = [&](u64 seed, float low = -1, float high = 1) { return reals(d.c, seed, low, high); };
      const auto mean = c(10), scale = c(11, 0.5, 1.5), beta = c(12), var = c(13, 0.5, 2),
                 gamma = c(14, 0.5, 1.5), mean2 = c(15), scale2 = c(16), om = c(17), ov = c(18);
      const WeightView view{w.data(), d.kernel * d.kernel, d.kernel, 1};
      std::vector<float> y(static_cast<size_t>(outs)), ymean(size_t(d.c)), yvar(ymean), yscale(ymean);
      std::vector<float> gx(static_cast<size_t>(ins)), gw(static_cast<size_t>(taps)), gg(ymean), gb(ymean),
          fm(ymean), fv(ymean);
      const Normed in{.x = x.data(),
                      .mean = normed ? mean.data() : nullptr,
                      .scale = scale.data(),
                      .beta = beta.data(),
                      .act = Act::hard_swish};
      normed_depthwise(host, {.dims = d,
                              .out_h = out.h,
                              .out_w = out.w,
                              .in = in,
                              .w = view,
                              .y = y.data(),
                              .out = {gamma.data(), 1e-3f, ymean.data(), yvar.data(), yscale.data()}});
      normed_depthwise_grad(host,
                            {.dims = d,
                             .out_h = out.h,
                             .out_w = out.w,
                             .in = in,
                             .gy = {dz.data(), raw.data(), mean2.data(), scale2.data(), om.data(), ov.data()},
                             .w = view,
                             .gw = gw.data(),
                             .gx = gx.data(),
                             .residual = normed ? nullptr : residual.data(),
                             .out = {var.data(), 1e-3f, gg.data(), gb.data(), fm.data(), fv.data()}});
      DeviceArray<T> dx(x), ddz(dz), draw(raw), dres(residual), dy(outs), dgx(ins);
      DeviceArray<float> dw(w), dmean(mean), dscale(scale), dbeta(beta), dvar(var), dgamma(gamma),
          dmean2(mean2), dscale2(scale2), dom(om), dov(ov);
      DeviceArray<float> oy_mean(d.c), oy_var(d.c), oy_scale(d.c), dgw(taps), dgg(d.c), dgb(d.c), dfm(d.c),
          dfv(d.c);
      const WeightView on_card{dw.data(), d.kernel * d.kernel, d.kernel, 1};
      const NormedT<T> card_in{.x = dx.data(),
                               .mean = normed ? dmean.data() : nullptr,
                               .scale = dscale.data(),
                               .beta = dbeta.data(),
                               .act = Act::hard_swish};
      std::vector<float> first;
      for (int again = 0; again < 2; ++again) {
        normed_depthwise(card, NormedDepthwiseCallT<T>{.dims = d,
                                                       .out_h = out.h,
                                                       .out_w = out.w,
                                                       .in = card_in,
                                                       .w = on_card,
                                                       .y = dy.data(),
                                                       .out = {dgamma.data(), 1e-3f, oy_mean.data(),
                                                               oy_var.data(), oy_scale.data()}});
        normed_depthwise_grad(
            card, NormedDepthwiseGradCallT<T>{
                      .dims = d,
                      .out_h = out.h,
                      .out_w = out.w,
                      .in = card_in,
                      .gy = {ddz.data(), draw.data(), dmean2.data(), dscale2.data(), dom.data(), dov.data()},
                      .w = on_card,
                      .gw = dgw.data(),
                      .gx = dgx.data(),
                      .residual = normed ? nullptr : dres.data(),
                      .out = {dvar.data(), 1e-3f, dgg.data(), dgb.data(), dfm.data(), dfv.data()}});
        auto now = dgw.floats();
        for (auto* part : {&oy_mean, &oy_var}) {
          const auto more = part->floats();
          now.insert(now.end(), more.begin(), more.end());
        }
        if (again) {
          EXPECT_EQ(std::memcmp(now.data(), first.data(), now.size() * 4), 0);
        }
        first = now;
      }
      const double t = TypeParam::kTolerance;
      EXPECT_TRUE(near(dy.floats(), y, t));
      EXPECT_TRUE(near(oy_mean.floats(), ymean, t, largest(y)));
      EXPECT_TRUE(near(oy_var.floats(), yvar, 4 * t));
      EXPECT_TRUE(near(dgx.floats(), gx, 2 * t));
      EXPECT_TRUE(near(dgw.floats(), gw, 2 * t));
      EXPECT_TRUE(dy.intact() && dgx.intact() && dgw.intact() && oy_mean.intact() && oy_var.intact() &&
                  oy_scale.intact());
      if (!normed) continue;
      const double sums = 4 * t;
      EXPECT_TRUE(near(dgg.floats(), gg, sums));
      EXPECT_TRUE(near(dgb.floats(), gb, sums, std::fmax(largest(gb), largest(gg))));
      EXPECT_TRUE(near(dfm.floats(), fm, sums, std::fmax(largest(fm), largest(fv))));
      EXPECT_TRUE(near(dfv.floats(), fv, sums, std::fmax(largest(fm), largest(fv))));
    }
}

}  // namespace
}  // namespace offramp::kernels
