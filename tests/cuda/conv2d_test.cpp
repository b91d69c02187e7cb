// Convolutions and matrix products on the card against the host's.
#include "kernels/conv2d/conv2d.h"

#include "kernels/gemm/gemm.h"
#include "tests/cuda/modes.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

const std::vector<Conv2dDims> kCases = {
    {.n = 2, .h = 9, .w = 8, .c_in = 3, .c_out = 16, .kernel = 3, .stride = 2, .pad = 1},
    {.n = 1, .h = 7, .w = 7, .c_in = 16, .c_out = 24, .kernel = 3, .stride = 1, .pad = 1},
    {.n = 3, .h = 5, .w = 6, .c_in = 24, .c_out = 40, .kernel = 1, .stride = 1, .pad = 0},
    {.n = 2, .h = 6, .w = 5, .c_in = 8, .c_out = 33, .kernel = 5, .stride = 2, .pad = 2},
    {.n = 2, .h = 6, .w = 6, .c_in = 8, .c_out = 12, .kernel = 3, .stride = 2, .pad = 0, .groups = 4},
    {.n = 1, .h = 1, .w = 1, .c_in = 96, .c_out = 10, .kernel = 1, .stride = 1, .pad = 0},
    {.n = 2, .h = 8, .w = 8, .c_in = 40, .c_out = 72, .kernel = 1, .stride = 2, .pad = 0},
};

template <class Mode>
struct CudaConv2d : ::testing::Test {};
TYPED_TEST_SUITE(CudaConv2d, Modes);

TYPED_TEST(CudaConv2d, ForwardAndGradientsAreTheHosts) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  Exec card(offramp::cuda::Gpu::instance(), TypeParam::kMath), host;
  for (const Conv2dDims& d : kCases)
    for (const bool whole : {false, true}) {
      SCOPED_TRACE(std::to_string(d.c_in) + "->" + std::to_string(d.c_out) + " k" + std::to_string(d.kernel) +
                   " s" + std::to_string(d.stride) + " g" + std::to_string(d.groups));
      const Extent out = conv2d_out(d);
      const i64 ins = d.n * d.h * d.w * d.c_in, outs = d.n * out.h * out.w * d.c_out,
                weights = d.c_out * d.kernel * d.kernel * (d.c_in / d.groups);
      const auto make = [&](i64 count, u64 seed) {
        return whole ? integers(count, seed, 4) : rounded_to<T>(reals(count, seed));
      };
      const auto x = make(ins, 1), w = make(weights, 2), bias = make(d.c_out, 3), residual = make(outs, 5),
                 gy = make(outs, 4);
      std::vector<float> y(static_cast<size_t>(outs)), gx(static_cast<size_t>(ins)),
          gw(static_cast<size_t>(weights));
      conv2d(host, Conv2dCall{.dims = d,
                              .out_h = out.h,
                              .out_w = out.w,
                              .x = x.data(),
                              .w = dense_weights(w.data(), d),
                              .bias = bias.data(),
                              .residual = residual.data(),
                              .act = Act::relu,
                              .y = y.data()});
      conv2d_grad(host, Conv2dGradCall{.dims = d,
                                       .out_h = out.h,
                                       .out_w = out.w,
                                       .x = x.data(),
                                       .w = dense_weights(w.data(), d),
                                       .gy = gy.data(),
                                       .gx = gx.data(),
                                       .gw = gw.data()});
      DeviceArray<T> dx(x), dres(residual), dgy(gy), dy(outs), dgx(ins);
      DeviceArray<float> dw(w), db(bias), dgw(weights);
      const WeightView view = dense_weights(static_cast<const float*>(dw.data()), d);
      conv2d(card, Conv2dCallT<T>{.dims = d,
                                  .out_h = out.h,
                                  .out_w = out.w,
                                  .x = dx.data(),
                                  .w = view,
                                  .bias = db.data(),
                                  .residual = dres.data(),
                                  .act = Act::relu,
                                  .y = dy.data()});
      conv2d_grad(card, Conv2dGradCallT<T>{.dims = d,
                                           .out_h = out.h,
                                           .out_w = out.w,
                                           .x = dx.data(),
                                           .w = view,
                                           .gy = dgy.data(),
                                           .gx = dgx.data(),
                                           .gw = dgw.data()});
      // Small integers are exact in every mode, but for the rounding of a stored Bf16.
      const double t = whole && std::is_same_v<T, float> ? 0 : TypeParam::kTolerance;
      EXPECT_TRUE(near(dy.floats(), y, t));
      EXPECT_TRUE(near(dgx.floats(), gx, t));
      EXPECT_TRUE(near(dgw.floats(), gw, whole ? 0 : t));
      EXPECT_TRUE(dy.intact() && dgx.intact() && dgw.intact());
    }
}

TYPED_TEST(CudaConv2d, WidthSlicesAndKernelCropsAreViews) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  Exec card(offramp::cuda::Gpu::instance(), TypeParam::kMath), host;
  const Conv2dDims d{.n = 1, .h = 6, .w = 6, .c_in = 8, .c_out = 16, .kernel = 3, .stride = 1, .pad = 1};
  const auto big = reals(24 * 5 * 5 * 16, 1), x = rounded_to<T>(reals(6 * 6 * 8, 2));
  const auto view = [&](const float* p) { return crop_kernel(WeightView{p, 5 * 5 * 16, 5 * 16, 16}, 5, 3); };
  std::vector<float> y(6 * 6 * 16);
  conv2d(host,
         Conv2dCall{.dims = d, .out_h = 6, .out_w = 6, .x = x.data(), .w = view(big.data()), .y = y.data()});
  DeviceArray<T> dx(x), dy(6 * 6 * 16);
  DeviceArray<float> dw(big);
  conv2d(card, Conv2dCallT<T>{
                   .dims = d, .out_h = 6, .out_w = 6, .x = dx.data(), .w = view(dw.data()), .y = dy.data()});
  EXPECT_TRUE(near(dy.floats(), y, TypeParam::kTolerance));
}

TYPED_TEST(CudaConv2d, GemmTakesAnyDistances) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  Exec card(offramp::cuda::Gpu::instance(), TypeParam::kMath), host;
  for (const bool turned : {false, true}) {
    const GemmDims d{.m = 37, .n = 21, .k = 45};
    const auto a = rounded_to<T>(reals(d.m * d.k, 1)), b = reals(d.n * d.k, 2), bias = reals(d.n, 3);
    const i64 a_row = turned ? 1 : d.k, a_k = turned ? d.m : 1, b_col = turned ? 1 : d.k,
              b_k = turned ? d.n : 1;
    std::vector<float> c(size_t(d.m * d.n));
    gemm(host, GemmCall{.dims = d,
                        .a = a.data(),
                        .a_row = a_row,
                        .a_k = a_k,
                        .b = b.data(),
                        .b_col = b_col,
                        .b_k = b_k,
                        .bias = bias.data(),
                        .c = c.data(),
                        .c_row = d.n});
    DeviceArray<T> da(a), dc(d.m * d.n);
    DeviceArray<float> db(b), dbias(bias);
    gemm(card, GemmCallT<T>{.dims = d,
                            .a = da.data(),
                            .a_row = a_row,
                            .a_k = a_k,
                            .b = db.data(),
                            .b_col = b_col,
                            .b_k = b_k,
                            .bias = dbias.data(),
                            .c = dc.data(),
                            .c_row = d.n});
    EXPECT_TRUE(near(dc.floats(), c, TypeParam::kTolerance));
    EXPECT_TRUE(dc.intact());
  }
}

}  // namespace
}  // namespace offramp::kernels
