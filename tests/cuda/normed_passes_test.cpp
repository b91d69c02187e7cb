// The passes between two normalisations on the card: slopes and sums with a residual, in double.
#include "tests/cuda/formed.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

template <class T>
struct CudaNormedPasses : ::testing::Test {};
using Types = ::testing::Types<float, Bf16>;
TYPED_TEST_SUITE(CudaNormedPasses, Types);

template <class T>
void check(const NormedDims& d, bool gated, bool whole) {
  Exec card(offramp::cuda::Gpu::instance(), offramp::cuda::Math::f32);
  const Operands<T> of{whole};
  const i64 count = d.rows * d.c_in, of_samples = d.rows / d.hw * d.c_in;
  const auto x = of.tensor(count, 1), g = of.tensor(count, 2), gate = of.tensor(of_samples, 3, 0, 1),
             shift = of.tensor(of_samples, 4);
  const Norm<T> in(of, d.c_in, 5);
  const Act act = whole ? Act::relu : Act::hard_swish;
  Doubles z;
  const Doubles read = formed(d, x, in, true, nullptr, act, &z);
  Wanted dz{room_for(count), room_for(count)}, sum = dz;
  for (size_t i = 0; i < size_t(count); ++i) {
    const size_t sample = i / size_t(d.c_in) / size_t(d.hw) * size_t(d.c_in) + i % size_t(d.c_in);
    double v = g[i];
    if (gated) v = v * double(gate[sample]) + 0.5 * double(shift[sample]);
    dz.value[i] = v * act_slope(act, z[i]);
    sum.value[i] = read[i] + (gated ? double(g[i]) : 0.0);
    // A slope of z, which comes from values of about 4, of something of about 1.5.
    dz.bound[i] = sum.bound[i] = float_error(8);
  }
  DeviceArray<T> dx(x), dg(g), dgate(gate), dshift(shift), ddz(count), dsum(count);
  DeviceArray<float> dmean(in.mean), dscale(in.scale), dbeta(in.beta), dvar(in.var), dgg(d.c_in), dgb(d.c_in),
      dom(d.c_in), dov(d.c_in);
  const NormedT<T> on_card{.x = dx.data(),
                           .mean = dmean.data(),
                           .scale = dscale.data(),
                           .beta = dbeta.data(),
                           .act = act,
                           .gate = gated ? dgate.data() : nullptr};
  const auto slope = [&](T* to) {
    normed_slope(card, NormedSlopeCallT<T>{
                           .dims = d,
                           .in = on_card,
                           .g = dg.data(),
                           .shift = gated ? dshift.data() : nullptr,
                           .shift_factor = 0.5f,
                           .dz = to,
                           .out = {dvar.data(), kEps, dgg.data(), dgb.data(), dom.data(), dov.data()}});
  };
  const auto expect_sums = [&](const SlopeResults& want) {
    EXPECT_TRUE(matches<float>(dgg.floats(), want.gg, whole));
    EXPECT_TRUE(matches<float>(dgb.floats(), want.gb, whole));
    EXPECT_TRUE(matches<float>(dom.floats(), want.om, whole));
    EXPECT_TRUE(matches<float>(dov.floats(), want.ov, whole));
  };
  slope(nullptr);
  expect_sums(slope_results<float>(dz, x, in, whole));
  std::vector<float> first;
  for (int again = 0; again < 2; ++again) {
    slope(ddz.data());
    std::vector<float> now = dgg.floats();
    const auto more = dgb.floats();
    now.insert(now.end(), more.begin(), more.end());
    if (again) {
      EXPECT_TRUE(same_bits(now, first));
    }
    first = now;
  }
  normed_add(card, NormedAddCallT<T>{
                       .dims = d, .in = on_card, .residual = gated ? dg.data() : nullptr, .y = dsum.data()});
  EXPECT_TRUE(matches<T>(ddz.floats(), dz, whole));
  EXPECT_TRUE(matches<T>(dsum.floats(), sum, whole));
  expect_sums(slope_results<T>(dz, x, in, whole));
  EXPECT_TRUE(ddz.intact() && dsum.intact() && dgg.intact() && dgb.intact() && dom.intact() && dov.intact());
}

TYPED_TEST(CudaNormedPasses, AreTheSumsInDouble) {
  OFFRAMP_NEEDS_CARD();
  for (const NormedDims d : {NormedDims{60, 24, 0, 20}, NormedDims{21, 13, 0, 7}, NormedDims{12, 104, 0, 1},
                             NormedDims{700, 8, 0, 70}})
    for (const bool gated : {true, false})
      for (const bool whole : {true, false})
        for (const int multiprocessors : kMultiprocessors) {
          SCOPED_TRACE(std::to_string(d.rows) + "x" + std::to_string(d.c_in) +
                       (whole ? " integers, " : " reals, ") + std::to_string(multiprocessors) +
                       " multiprocessors");
          const SupposedCard supposed(multiprocessors);
          check<TypeParam>(d, gated, whole);
        }
}

}  // namespace
}  // namespace offramp::kernels
