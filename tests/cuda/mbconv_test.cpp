// Blocks in one launch against the calls that they stand for: the same bits, on any number of
// multiprocessors.
#include "kernels/mbconv/mbconv.h"

#include <array>
#include <bit>

#include "kernels/binary/binary.h"
#include "kernels/pool/pool.h"
#include "tests/cuda/oracle.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

struct Case {
  i64 h, w, c_in, mid, c_out, kernel, stride = 1, reduced = 0;
  bool expands = true, residual = false;
  Act act = Act::hard_swish;
  MBConvDims dims(i64 n) const {
    return {.n = n,
            .h = h,
            .w = w,
            .c_in = c_in,
            .mid = mid,
            .c_out = c_out,
            .kernel = kernel,
            .stride = stride,
            .pad = kernel / 2,
            .reduced = reduced,
            .expands = expands};
  }
};
// Slices that are one, whole and not; strips; channels that no access of 16 bytes divides; maps smaller than
// the kernel.
const Case kCases[] = {
    {8, 8, 16, 64, 24, 3},
    {9, 7, 24, 72, 24, 5, 1, 0, true, true},
    {16, 16, 24, 144, 24, 7, 1, 0, true, true},
    {17, 12, 16, 96, 20, 7, 2},
    {16, 16, 16, 16, 16, 3, 1, 0, false},
    {13, 13, 40, 40, 12, 5, 2, 0, false, false, Act::relu},
    {4, 4, 40, 120, 40, 5, 1, 32, true, true},
    {8, 8, 24, 80, 40, 7, 2, 20},
    {2, 2, 48, 288, 48, 5, 1, 72, true, true, Act::relu},
    {1, 1, 33, 50, 35, 3, 1, 9, true, false, Act::relu6},
    {5, 6, 7, 13, 5, 3, 2},
    {6, 6, 20, 20, 9, 3, 1, 5, false, false, Act::relu},
};

template <class T>
struct Operands {
  DeviceArray<T> x, residual;
  DeviceArray<float> expand, expand_bias, depthwise, depthwise_bias, reduce, reduce_bias, gate, gate_bias,
      project, project_bias;

  Operands(const MBConvDims& d, const Extent& out)
      : x(rounded_to<T>(reals(d.n * d.h * d.w * d.c_in, 1))),
        residual(rounded_to<T>(reals(d.n * out.h * out.w * d.c_out, 2))),
        expand(reals(d.mid * d.c_in, 3, -0.5f, 0.5f)),
        expand_bias(reals(d.mid, 4)),
        depthwise(reals(d.mid * d.kernel * d.kernel, 5, -0.5f, 0.5f)),
        depthwise_bias(reals(d.mid, 6)),
        reduce(reals(std::max<i64>(d.reduced, 1) * d.mid, 7)),
        reduce_bias(reals(std::max<i64>(d.reduced, 1), 8)),
        gate(reals(std::max<i64>(d.reduced, 1) * d.mid, 9)),
        gate_bias(reals(d.mid, 10)),
        project(reals(d.c_out * d.mid, 11)),
        project_bias(reals(d.c_out, 12)) {}
};

template <class T>
MBConvCallT<T> call_of(const Case& c, const MBConvDims& d, const Extent& out, Operands<T>& o, T* y) {
  MBConvCallT<T> call{.dims = d, .out_h = out.h, .out_w = out.w, .x = o.x.data(), .y = y};
  if (c.expands) call.expand = {o.expand.data(), o.expand_bias.data(), c.act};
  call.depthwise = {o.depthwise.data(), o.depthwise_bias.data(), c.act};
  if (c.reduced) {
    call.reduce = {o.reduce.data(), o.reduce_bias.data(), Act::relu};
    call.gate = {o.gate.data(), o.gate_bias.data(), Act::hard_sigmoid};
  }
  call.project = {o.project.data(), o.project_bias.data(), Act::none};
  if (c.residual) call.residual = o.residual.data();
  return call;
}

template <class T>
std::vector<float> one_by_one(Exec& exec, const MBConvCallT<T>& call) {
  const MBConvDims& d = call.dims;
  const i64 ins = d.n * d.h * d.w, hw = call.out_h * call.out_w, outs = d.n * hw;
  const auto pointwise = [&](i64 n, i64 h, i64 w, i64 c_in, i64 c_out, const T* x, const MBConvLayer& layer,
                             const T* residual, T* y) {
    const Conv2dDims dims{.n = n, .h = h, .w = w, .c_in = c_in, .c_out = c_out, .kernel = 1};
    conv2d(exec, Conv2dCallT<T>{.dims = dims,
                                .out_h = h,
                                .out_w = w,
                                .x = x,
                                .w = dense_weights(layer.w, dims),
                                .bias = layer.bias,
                                .residual = residual,
                                .act = layer.act,
                                .y = y});
  };
  DeviceArray<T> hidden(ins * d.mid), out(outs * d.mid), mean(d.n * d.mid),
      squeezed(d.n * std::max<i64>(d.reduced, 1)), gates(d.n * d.mid), y(outs * d.c_out);
  const T* in = call.x;
  if (d.expands) {
    pointwise(d.n, d.h, d.w, d.c_in, d.mid, call.x, call.expand, nullptr, hidden.data());
    in = hidden.data();
  }
  depthwise(exec, DepthwiseCallT<T>{.dims = depthwise_of(d),
                                    .out_h = call.out_h,
                                    .out_w = call.out_w,
                                    .x = in,
                                    .w = {call.depthwise.w, d.kernel * d.kernel, d.kernel, 1},
                                    .bias = call.depthwise.bias,
                                    .act = call.depthwise.act,
                                    .y = out.data()});
  if (d.reduced) {
    global_avg_pool(exec, GlobalAvgPoolCallT<T>{.dims = {d.n, hw, d.mid}, .x = out.data(), .y = mean.data()});
    pointwise(d.n, 1, 1, d.mid, d.reduced, mean.data(), call.reduce, nullptr, squeezed.data());
    pointwise(d.n, 1, 1, d.reduced, d.mid, squeezed.data(), call.gate, nullptr, gates.data());
    binary(exec, BinaryCallT<T>{
                     .dims = {.n = d.n, .hw = hw, .c = d.mid, .kind = BinaryKind::mul, .broadcast = true},
                     .x = out.data(),
                     .z = gates.data(),
                     .y = out.data()});
  }
  pointwise(d.n, call.out_h, call.out_w, d.mid, d.c_out, out.data(), call.project, call.residual, y.data());
  return y.floats();
}

template <class Mode>
class CudaMBConv : public ::testing::Test {};
TYPED_TEST_SUITE(CudaMBConv, Modes);

TYPED_TEST(CudaMBConv, HasTheBitsOfTheCallsOneByOne) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  Exec card(offramp::cuda::Gpu::instance(), TypeParam::kMath);
  for (const Case& c : kCases)
    for (const i64 n : {1, 3}) {
      const MBConvDims d = c.dims(n);
      const Extent out = depthwise_out(depthwise_of(d));
      Operands<T> operands(d, out);
      std::vector<float> want;
      for (const int multiprocessors : {27, 132}) {
        SCOPED_TRACE(std::to_string(&c - kCases) + ", " + std::to_string(n) + " images, " +
                     std::to_string(multiprocessors) + " multiprocessors");
        const SupposedCard supposed(multiprocessors);
        ASSERT_TRUE(mbconv_fits<T>(card, d));
        DeviceArray<T> y(n * out.h * out.w * c.c_out);
        const MBConvCallT<T> call = call_of(c, d, out, operands, y.data());
        if (want.empty()) want = one_by_one(card, call);
        mbconv(card, call);
        EXPECT_EQ(y.floats(), want);
        EXPECT_TRUE(y.intact());
        for (const float v : want) ASSERT_TRUE(std::isfinite(v));
      }
    }
}

// Of samples that left nothing is written.
TYPED_TEST(CudaMBConv, LeavesSamplesThatLeftAlone) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  auto& gpu = offramp::cuda::Gpu::instance();
  Exec card(gpu, TypeParam::kMath);
  const SupposedCard supposed(132);
  for (const Case& c : {kCases[1], kCases[6]}) {
    const MBConvDims d = c.dims(4);
    const Extent out = depthwise_out(depthwise_of(d));
    Operands<T> operands(d, out);
    const i64 each = out.h * out.w * c.c_out;
    DeviceArray<T> y(std::vector<float>(size_t(4 * each), 7.0f));
    const MBConvCallT<T> call = call_of(c, d, out, operands, y.data());
    const std::vector<float> want = one_by_one(card, call);
    DeviceArray<float> live(std::vector<float>{std::bit_cast<float>(i32{3})});
    gpu.live = {reinterpret_cast<const i32*>(live.data()), 4};
    mbconv(card, call);
    gpu.live = {};
    const std::vector<float> got = y.floats();
    for (i64 i = 0; i < 4 * each; ++i) ASSERT_EQ(got[size_t(i)], i < 3 * each ? want[size_t(i)] : 7.0f) << i;
  }
}

// Rows of one sample and of many; few rows, and tiles.
TYPED_TEST(CudaMBConv, ScalesWhileItProjects) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  Exec card(offramp::cuda::Gpu::instance(), TypeParam::kMath);
  for (const auto& [n, hw, mid, c_out] :
       {std::array<i64, 4>{1, 1, 40, 8}, {3, 17, 72, 24}, {40, 9, 33, 13}}) {
    const i64 rows = n * hw;
    DeviceArray<T> x(rounded_to<T>(reals(rows * mid, 1))), gate(rounded_to<T>(reals(n * mid, 2, 0, 1))),
        residual(rounded_to<T>(reals(rows * c_out, 3))), scaled(rows * mid), want(rows * c_out),
        y(rows * c_out);
    DeviceArray<float> w(reals(c_out * mid, 4)), bias(reals(c_out, 5));
    const Conv2dDims dims{.n = n, .h = 1, .w = hw, .c_in = mid, .c_out = c_out, .kernel = 1};
    binary(card,
           BinaryCallT<T>{.dims = {.n = n, .hw = hw, .c = mid, .kind = BinaryKind::mul, .broadcast = true},
                          .x = x.data(),
                          .z = gate.data(),
                          .y = scaled.data()});
    conv2d(card, Conv2dCallT<T>{.dims = dims,
                                .out_h = 1,
                                .out_w = hw,
                                .x = scaled.data(),
                                .w = dense_weights<float>(w.data(), dims),
                                .bias = bias.data(),
                                .residual = residual.data(),
                                .act = Act::relu,
                                .y = want.data()});
    for (const int multiprocessors : kMultiprocessors) {
      const SupposedCard supposed(multiprocessors);
      scaled_project(card, ScaledProjectCallT<T>{.n = n,
                                                 .hw = hw,
                                                 .mid = mid,
                                                 .c_out = c_out,
                                                 .x = x.data(),
                                                 .gate = gate.data(),
                                                 .project = {w.data(), bias.data(), Act::relu},
                                                 .residual = residual.data(),
                                                 .y = y.data()});
      EXPECT_EQ(y.floats(), want.floats()) << n << " " << hw << ", " << multiprocessors;
      EXPECT_TRUE(y.intact());
    }
  }
}

// Blocks of a launch must all find room: few images of few channels, or none at all.
TEST(CudaMBConvFits, SaysWhereABlockIsOneLaunch) {
  OFFRAMP_NEEDS_CARD();
  const SupposedCard supposed(132);
  Exec card(offramp::cuda::Gpu::instance(), offramp::cuda::Math::f32), host;
  const MBConvDims d{
      .n = 1, .h = 4, .w = 4, .c_in = 160, .mid = 960, .c_out = 160, .kernel = 5, .pad = 2, .reduced = 240};
  EXPECT_TRUE(mbconv_fits<float>(card, d));
  EXPECT_TRUE(mbconv_fits<Bf16>(card, d));
  EXPECT_FALSE(mbconv_fits<float>(host, d));
  const auto fits = [&](auto change) {
    MBConvDims other = d;
    change(other);
    return mbconv_fits<float>(card, other);
  };
  EXPECT_TRUE(fits([](MBConvDims& o) { o.n = 4; }));
  EXPECT_FALSE(fits([](MBConvDims& o) { o.n = 5; }));
  EXPECT_FALSE(fits([](MBConvDims& o) { o.kernel = 9, o.pad = 4; }));
  EXPECT_FALSE(fits([](MBConvDims& o) { o.h = o.w = 64; }));  // of one sample, all rows
  EXPECT_TRUE(fits([](MBConvDims& o) { o.h = o.w = 64, o.reduced = 0, o.mid = 96, o.c_in = 16; }));  // strips
}

}  // namespace
}  // namespace offramp::kernels
