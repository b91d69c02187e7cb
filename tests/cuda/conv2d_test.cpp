// Convolutions and matrix products on the card against the reference in double, with every tile that products
// are cut into.
#include "kernels/conv2d/conv2d.h"

#include "kernels/conv2d/conv2d_ref.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/gemm_ref.h"
#include "tests/cuda/oracle.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

// Every kernel and stride; channels that are read one and eight at a time; more rows than the largest tile
// has and columns on both sides of 32, forward and in the gradient, so that each of the three tiles meets
// both.
const std::vector<Conv2dDims> kCases = {
    {.n = 2, .h = 9, .w = 8, .c_in = 3, .c_out = 16, .kernel = 3, .stride = 2, .pad = 1},
    {.n = 1, .h = 7, .w = 7, .c_in = 16, .c_out = 24, .kernel = 3, .stride = 1, .pad = 1},
    {.n = 3, .h = 7, .w = 7, .c_in = 40, .c_out = 48, .kernel = 3, .stride = 1, .pad = 1},
    {.n = 3, .h = 5, .w = 6, .c_in = 24, .c_out = 40, .kernel = 1, .stride = 1, .pad = 0},
    {.n = 2, .h = 6, .w = 5, .c_in = 8, .c_out = 33, .kernel = 5, .stride = 2, .pad = 2},
    {.n = 2, .h = 6, .w = 5, .c_in = 8, .c_out = 36, .kernel = 5, .stride = 1, .pad = 2},
    {.n = 1, .h = 8, .w = 9, .c_in = 5, .c_out = 16, .kernel = 7, .stride = 1, .pad = 3},
    {.n = 2, .h = 6, .w = 6, .c_in = 8, .c_out = 12, .kernel = 3, .stride = 2, .pad = 0, .groups = 4},
    {.n = 1, .h = 1, .w = 1, .c_in = 96, .c_out = 10, .kernel = 1, .stride = 1, .pad = 0},
    {.n = 3, .h = 13, .w = 8, .c_in = 72, .c_out = 20, .kernel = 1, .stride = 1, .pad = 0},
    {.n = 2, .h = 8, .w = 8, .c_in = 40, .c_out = 72, .kernel = 1, .stride = 2, .pad = 0},
};
std::string name_of(const Conv2dDims& d) {
  return std::to_string(d.c_in) + "->" + std::to_string(d.c_out) + " k" + std::to_string(d.kernel) + " s" +
         std::to_string(d.stride) + " g" + std::to_string(d.groups);
}

struct Case {
  Conv2dDims dims;
  std::vector<float> x, w, bias, residual, gy;
  Wanted y, gx, gw;
  Extent out;
  i64 ins, outs, weights;
};

template <class Mode>
Case make_case(const Conv2dDims& d, bool whole) {
  const Extent out = conv2d_out(d);
  Case c{.dims = d, .out = out};
  c.ins = d.n * d.h * d.w * d.c_in, c.outs = d.n * out.h * out.w * d.c_out;
  const i64 per = d.c_in / d.groups, taps = d.kernel * d.kernel;
  c.weights = d.c_out * taps * per;
  const auto make = [&](i64 count, u64 seed) {
    return whole ? integers(count, seed, 4) : rounded_to<typename Mode::T>(reals(count, seed));
  };
  c.x = make(c.ins, 1), c.w = make(c.weights, 2), c.bias = make(d.c_out, 3), c.residual = make(c.outs, 5),
  c.gy = make(c.outs, 4);
  c.y = sums<Mode>(taps * per, [&](const Map& f) {
    const Doubles x = mapped(f, c.x), w = mapped(f, c.w);
    Doubles y = room_for(c.outs);
    conv2d_ref(Conv2dCallT<double>{.dims = d,
                                   .out_h = out.h,
                                   .out_w = out.w,
                                   .x = x.data(),
                                   .w = dense_weights(w.data(), d),
                                   .y = y.data()});
    return y;
  });
  c.y = then(std::move(c.y), 1, [&](i64 i, double v) {
    return apply_act(Act::relu, v + double(c.bias[size_t(i % d.c_out)]) + double(c.residual[size_t(i)]));
  });
  const auto gradient = [&](bool of_x, const Map& f) {
    const Doubles x = mapped(f, c.x), w = mapped(f, c.w), gy = mapped(f, c.gy);
    Doubles g = room_for(of_x ? c.ins : c.weights);
    conv2d_grad_ref(Conv2dGradCallT<double>{.dims = d,
                                            .out_h = out.h,
                                            .out_w = out.w,
                                            .x = x.data(),
                                            .w = dense_weights(w.data(), d),
                                            .gy = gy.data(),
                                            .gx = of_x ? g.data() : nullptr,
                                            .gw = of_x ? nullptr : g.data()});
    return g;
  };
  c.gx = sums<Mode>(taps * d.c_out / d.groups, [&](const Map& f) { return gradient(true, f); });
  c.gw = sums<Mode>(d.n * out.h * out.w, [&](const Map& f) { return gradient(false, f); });
  return c;
}

template <class Mode>
struct CudaConv2d : ::testing::Test {};
TYPED_TEST_SUITE(CudaConv2d, Modes);

template <class Mode>
void check(const Case& c, bool whole) {
  using T = typename Mode::T;
  Exec card(offramp::cuda::Gpu::instance(), Mode::kMath);
  DeviceArray<T> dx(c.x), dres(c.residual), dgy(c.gy), dy(c.outs), dgx(c.ins);
  DeviceArray<float> dw(c.w), db(c.bias), dgw(c.weights);
  const WeightView view = dense_weights(static_cast<const float*>(dw.data()), c.dims);
  std::vector<float> first;
  for (int again = 0; again < 2; ++again) {
    conv2d(card, Conv2dCallT<T>{.dims = c.dims,
                                .out_h = c.out.h,
                                .out_w = c.out.w,
                                .x = dx.data(),
                                .w = view,
                                .bias = db.data(),
                                .residual = dres.data(),
                                .act = Act::relu,
                                .y = dy.data()});
    conv2d_grad(card, Conv2dGradCallT<T>{.dims = c.dims,
                                         .out_h = c.out.h,
                                         .out_w = c.out.w,
                                         .x = dx.data(),
                                         .w = view,
                                         .gy = dgy.data(),
                                         .gx = dgx.data(),
                                         .gw = dgw.data()});
    if (again) {
      EXPECT_TRUE(same_bits(dgw.floats(), first));
    }
    first = dgw.floats();
  }
  EXPECT_TRUE(matches<T>(dy.floats(), c.y, whole));
  EXPECT_TRUE(matches<T>(dgx.floats(), c.gx, whole));
  EXPECT_TRUE(matches<float>(dgw.floats(), c.gw, whole));
  EXPECT_TRUE(dy.intact() && dgx.intact() && dgw.intact());
}

TYPED_TEST(CudaConv2d, ForwardAndGradientsAreThoseOfTheReference) {
  OFFRAMP_NEEDS_CARD();
  for (const Conv2dDims& d : kCases)
    for (const bool whole : {false, true}) {
      const Case c = make_case<TypeParam>(d, whole);
      for (const int multiprocessors : kMultiprocessors) {
        SCOPED_TRACE(name_of(d) + (whole ? " integers, " : " reals, ") + std::to_string(multiprocessors) +
                     " multiprocessors");
        const SupposedCard card(multiprocessors);
        check<TypeParam>(c, whole);
      }
    }
}

TYPED_TEST(CudaConv2d, WidthSlicesAndKernelCropsAreViews) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  Exec card(offramp::cuda::Gpu::instance(), TypeParam::kMath);
  const Conv2dDims d{.n = 2, .h = 9, .w = 8, .c_in = 8, .c_out = 16, .kernel = 3, .stride = 1, .pad = 1};
  const i64 ins = d.n * d.h * d.w * d.c_in, outs = d.n * d.h * d.w * d.c_out;
  // Of 24 output channels, 5 x 5 taps and 16 input channels.
  const auto view = [&]<class V>(const V* p) {
    return crop_kernel(WeightViewT<V>{p, 5 * 5 * 16, 5 * 16, 16}, 5, 3);
  };
  for (const bool whole : {false, true})
    for (const int multiprocessors : kMultiprocessors) {
      const SupposedCard supposed(multiprocessors);
      const auto make = [&](i64 count, u64 seed) {
        return whole ? integers(count, seed, 4) : rounded_to<T>(reals(count, seed));
      };
      const auto big = make(24 * 5 * 5 * 16, 1), x = make(ins, 2), gy = make(outs, 3);
      const Wanted y = sums<TypeParam>(9 * d.c_in, [&](const Map& f) {
        const Doubles fx = mapped(f, x), w = mapped(f, big);
        Doubles out = room_for(outs);
        conv2d_ref(Conv2dCallT<double>{
            .dims = d, .out_h = d.h, .out_w = d.w, .x = fx.data(), .w = view(w.data()), .y = out.data()});
        return out;
      });
      const Wanted gx = sums<TypeParam>(9 * d.c_out, [&](const Map& f) {
        const Doubles g = mapped(f, gy), w = mapped(f, big);
        Doubles out = room_for(ins);
        conv2d_grad_ref(Conv2dGradCallT<double>{.dims = d,
                                                .out_h = d.h,
                                                .out_w = d.w,
                                                .x = nullptr,
                                                .w = view(w.data()),
                                                .gy = g.data(),
                                                .gx = out.data()});
        return out;
      });
      DeviceArray<T> dx(x), dgy(gy), dy(outs), dgx(ins);
      DeviceArray<float> dw(big);
      const WeightView on_card = view(static_cast<const float*>(dw.data()));
      conv2d(card, Conv2dCallT<T>{
                       .dims = d, .out_h = d.h, .out_w = d.w, .x = dx.data(), .w = on_card, .y = dy.data()});
      conv2d_grad(card, Conv2dGradCallT<T>{.dims = d,
                                           .out_h = d.h,
                                           .out_w = d.w,
                                           .x = dx.data(),
                                           .w = on_card,
                                           .gy = dgy.data(),
                                           .gx = dgx.data()});
      EXPECT_TRUE(matches<T>(dy.floats(), y, whole));
      EXPECT_TRUE(matches<T>(dgx.floats(), gx, whole));
      EXPECT_TRUE(dy.intact() && dgx.intact());
    }
}

TYPED_TEST(CudaConv2d, GemmTakesAnyDistances) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  Exec card(offramp::cuda::Gpu::instance(), TypeParam::kMath);
  for (const GemmDims& d : {GemmDims{37, 21, 45}, {131, 70, 90}, {300, 32, 8}, {20, 72, 600}})
    for (const bool turned : {false, true})
      for (const bool whole : {false, true}) {
        const auto make = [&](i64 count, u64 seed) {
          return whole ? integers(count, seed, 4) : rounded_to<T>(reals(count, seed));
        };
        const auto a = make(d.m * d.k, 1), b = make(d.n * d.k, 2), bias = make(d.n, 3);
        const auto call = [&]<class V>(const V* pa, const auto* pb, V* pc) {
          return GemmCallT<V>{.dims = d,
                              .a = pa,
                              .a_row = turned ? 1 : d.k,
                              .a_k = turned ? d.m : 1,
                              .b = pb,
                              .b_col = turned ? 1 : d.k,
                              .b_k = turned ? d.n : 1,
                              .c = pc,
                              .c_row = d.n};
        };
        Wanted want = sums<TypeParam>(d.k, [&](const Map& f) {
          const Doubles fa = mapped(f, a), fb = mapped(f, b);
          Doubles c = room_for(d.m * d.n);
          gemm_ref(call(fa.data(), fb.data(), c.data()));
          return c;
        });
        want = then(std::move(want), 1, [&](i64 i, double v) { return v + double(bias[size_t(i % d.n)]); });
        std::vector<float> first;
        for (const int multiprocessors : kMultiprocessors) {
          SCOPED_TRACE(std::to_string(d.m) + "x" + std::to_string(d.n) + (turned ? " turned " : " ") +
                       std::to_string(multiprocessors) + " multiprocessors");
          const SupposedCard supposed(multiprocessors);
          DeviceArray<T> da(a), dc(d.m * d.n);
          DeviceArray<float> db(b), dbias(bias);
          auto on_card =
              call(static_cast<const T*>(da.data()), static_cast<const float*>(db.data()), dc.data());
          on_card.bias = dbias.data();
          gemm(card, on_card);
          const std::vector<float> got = dc.floats();
          EXPECT_TRUE(matches<T>(got, want, whole));
          EXPECT_TRUE(dc.intact());
          if (first.empty()) first = got;
          EXPECT_EQ(got, first);  // whatever tile: the same bits
        }
      }
}

// The number of blocks says which tile ran, where there are fewer tiles than find room at once.
TYPED_TEST(CudaConv2d, TilesAreChosenByMultiprocessors) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  auto& gpu = offramp::cuda::Gpu::instance();
  Exec card(gpu, TypeParam::kMath);
  const auto blocks = [&](i64 m, i64 n, int multiprocessors) {
    const SupposedCard supposed(multiprocessors);
    DeviceArray<T> a(m * 8), c(m * n);
    DeviceArray<float> b(n * 8);
    offramp::cuda::LaunchTimes launches;
    gpu.times = &launches;
    gemm(card, GemmCallT<T>{.dims = {m, n, 8},
                            .a = a.data(),
                            .a_row = 8,
                            .a_k = 1,
                            .b = b.data(),
                            .b_col = 8,
                            .b_k = 1,
                            .c = c.data(),
                            .c_row = n});
    gpu.times = nullptr;
    gpu.synchronize();
    EXPECT_EQ(launches.launches.size(), 1u);
    return launches.launches.front().blocks;
  };
  const i64 at_once = sizeof(T) == 2 ? 2 : 1;  // of a multiprocessor
  EXPECT_EQ(blocks(300, 65, 132), 19 * 9);     // 16 x 8
  EXPECT_EQ(blocks(384, 128, 6), 3 * 2);       // 128 x 64
  EXPECT_EQ(blocks(384, 32, 3), 3);            // 128 x 32
  EXPECT_EQ(blocks(384, 64, 12), 12);          // 32 x 64
  EXPECT_EQ(blocks(384, 64, 4), 4 * at_once);
  EXPECT_EQ(blocks(128 * 66, 128, 10), 10 * at_once);
}

}  // namespace
}  // namespace offramp::kernels
