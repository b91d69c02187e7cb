// Pointwise convolutions between normalisations on the card, with every tile, against sums in double of the
// tensors that they form while they read.
#include "tests/cuda/formed.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

struct Case {
  NormedDims dims;
  bool normed, gated, residual;
};

// Around the tiles (32 and 128 rows, 32 and 64 columns, k in 64), odd widths, more than one walk of a block.
const std::vector<Case> kCases = {
    {{.rows = 1, .c_in = 8, .c_out = 8, .hw = 1}, true, false, false},
    {{.rows = 130, .c_in = 24, .c_out = 40, .hw = 13}, true, true, false},
    {{.rows = 257, .c_in = 16, .c_out = 72, .hw = 257}, false, false, true},
    {{.rows = 128, .c_in = 64, .c_out = 16, .hw = 64}, true, false, false},
    {{.rows = 300, .c_in = 5, .c_out = 13, .hw = 30}, true, true, false},
    {{.rows = 2100, .c_in = 40, .c_out = 33, .hw = 100}, true, false, false},
};
std::string name_of(const NormedDims& d, bool whole, int multiprocessors) {
  return std::to_string(d.rows) + "x" + std::to_string(d.c_in) + "x" + std::to_string(d.c_out) +
         (whole ? " integers, " : " reals, ") + std::to_string(multiprocessors) + " multiprocessors";
}

template <class Mode>
struct CudaNormedPointwise : ::testing::Test {};
TYPED_TEST_SUITE(CudaNormedPointwise, Modes);

template <class Mode>
void check_forward(const Case& c, bool whole, int multiprocessors) {
  using T = typename Mode::T;
  const NormedDims& d = c.dims;
  SCOPED_TRACE(name_of(d, whole, multiprocessors));
  const SupposedCard supposed(multiprocessors);
  Exec card(offramp::cuda::Gpu::instance(), Mode::kMath);
  const Operands<T> of{whole};
  const auto x = of.tensor(d.rows * d.c_in, 1), w = of.tensor(d.c_out * d.c_in, 2),
             gate = of.tensor(d.rows / d.hw * d.c_in, 3, 0, 1);
  const Norm<T> in(of, d.c_in, 4), after(of, d.c_out, 20);
  const Act act = whole ? Act::relu : Act::hard_swish;
  const Doubles read = formed(d, x, in, c.normed, c.gated ? &gate : nullptr, act);
  const Wanted y = from_formed(
      sums<Mode>(
          d.c_in,
          [&](const Map& f) { return product(mapped(f, read), mapped(f, w), d.rows, d.c_out, d.c_in); }),
      d.c_in, whole);
  DeviceArray<T> dx(x), dgate(gate), dy(d.rows * d.c_out);
  DeviceArray<float> dw(w), imean(in.mean), iscale(in.scale), ibeta(in.beta), gamma(after.gamma),
      dmean(d.c_out), dvar(d.c_out), dscale(d.c_out), rmean(after.mean), rvar(after.var);
  const float weight = 0.25f;
  std::vector<float> first;
  for (int again = 0; again < 2; ++again) {
    normed_pointwise(card,
                     NormedPointwiseCallT<T>{.dims = d,
                                             .in = {.x = dx.data(),
                                                    .mean = c.normed ? imean.data() : nullptr,
                                                    .scale = iscale.data(),
                                                    .beta = ibeta.data(),
                                                    .act = act,
                                                    .gate = c.gated ? dgate.data() : nullptr},
                                             .w = dw.data(),
                                             .w_row = d.c_in,
                                             .y = dy.data(),
                                             .out = {gamma.data(),
                                                     kEps,
                                                     dmean.data(),
                                                     dvar.data(),
                                                     dscale.data(),
                                                     {again ? nullptr : rmean.data(), rvar.data(), weight}}});
    std::vector<float> now = dy.floats();
    for (const auto* more : {&dmean, &dvar, &dscale}) {
      const auto values = more->floats();
      now.insert(now.end(), values.begin(), values.end());
    }
    if (again) {
      EXPECT_TRUE(same_bits(now, first));
    }
    first = now;
  }
  EXPECT_TRUE(matches<T>(dy.floats(), y, whole));
  check_statistics<T>(d, y, whole, after.gamma, dmean.floats(), dvar.floats(), dscale.floats());
  EXPECT_TRUE(dy.intact() && dmean.intact() && dvar.intact() && dscale.intact());
  check_running(d.rows, weight, after, dmean.floats(), dvar.floats(), rmean.floats(), rvar.floats());
}

TYPED_TEST(CudaNormedPointwise, ForwardIsTheSumInDouble) {
  OFFRAMP_NEEDS_CARD();
  for (const Case& c : kCases)
    for (const bool whole : {false, true})
      for (const int multiprocessors : kMultiprocessors) check_forward<TypeParam>(c, whole, multiprocessors);
}

TYPED_TEST(CudaNormedPointwise, BiasAndActivationWithoutNormalisation) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  Exec card(offramp::cuda::Gpu::instance(), TypeParam::kMath);
  for (const i64 c_out : {12, 40})
    for (const bool whole : {false, true})
      for (const int multiprocessors : kMultiprocessors) {
        const NormedDims d{.rows = 137, .c_in = 48, .c_out = c_out};
        SCOPED_TRACE(name_of(d, whole, multiprocessors));
        const SupposedCard supposed(multiprocessors);
        const Operands<T> of{whole};
        const auto x = of.tensor(d.rows * d.c_in, 1), w = of.tensor(d.c_out * d.c_in, 2),
                   bias = of.parameter(d.c_out, 3);
        Wanted y = sums<TypeParam>(d.c_in, [&](const Map& f) {
          return product(mapped(f, x), mapped(f, w), d.rows, d.c_out, d.c_in);
        });
        y = then(std::move(y), 1, [&](i64 i, double v) {
          return apply_act(Act::relu, v + double(bias[size_t(i % d.c_out)]));
        });
        DeviceArray<T> dx(x), dy(d.rows * d.c_out);
        DeviceArray<float> dw(w), db(bias);
        normed_pointwise(card, NormedPointwiseCallT<T>{.dims = d,
                                                       .in = {.x = dx.data()},
                                                       .w = dw.data(),
                                                       .w_row = d.c_in,
                                                       .y = dy.data(),
                                                       .bias = db.data(),
                                                       .act = Act::relu});
        EXPECT_TRUE(matches<T>(dy.floats(), y, whole));
        EXPECT_TRUE(dy.intact());
      }
}

template <class Mode>
void check_gradient(const Case& c, bool whole, int multiprocessors) {
  using T = typename Mode::T;
  const NormedDims& d = c.dims;
  SCOPED_TRACE(name_of(d, whole, multiprocessors));
  const SupposedCard supposed(multiprocessors);
  Exec card(offramp::cuda::Gpu::instance(), Mode::kMath);
  const Operands<T> of{whole};
  const i64 ins = d.rows * d.c_in, outs = d.rows * d.c_out, w_row = d.c_in + 8;  // a strided weight
  const auto x = of.tensor(ins, 1), w = of.tensor(d.c_out * w_row, 2),
             gate = of.tensor(d.rows / d.hw * d.c_in, 3, 0, 1), dz = of.tensor(outs, 5),
             raw = of.tensor(outs, 6), residual = of.tensor(ins, 7);
  const auto of_mean = of.parameter(d.c_out, 8), of_var = of.parameter(d.c_out, 9);
  const Norm<T> in(of, d.c_in, 4), behind(of, d.c_out, 20);
  const bool slope = c.normed && !c.gated;

  Doubles z, gy = doubles(dz), dense_w;
  const Doubles read = formed(d, x, in, c.normed, c.gated ? &gate : nullptr, Act::relu, &z);
  for (size_t i = 0; i < gy.size(); ++i) {
    const size_t ch = i % size_t(d.c_out);
    gy[i] = (double(behind.scale[ch]) * gy[i] - double(of_mean[ch])) -
            (double(raw[i]) - double(behind.mean[ch])) * double(of_var[ch]);
  }
  for (i64 i = 0; i < d.c_out * d.c_in; ++i) dense_w.push_back(w[size_t(i / d.c_in * w_row + i % d.c_in)]);
  const Wanted gw = from_formed(sums<Mode>(d.rows,
                                           [&](const Map& f) {
                                             return product(turned(mapped(f, gy), d.rows, d.c_out),
                                                            turned(mapped(f, read), d.rows, d.c_in), d.c_out,
                                                            d.c_in, d.rows);
                                           }),
                                2 * d.rows, whole);
  Wanted gx =
      from_formed(sums<Mode>(d.c_out,
                             [&](const Map& f) {
                               return product(mapped(f, gy), turned(mapped(f, dense_w), d.c_out, d.c_in),
                                              d.rows, d.c_in, d.c_out);
                             }),
                  d.c_out, whole);
  gx = then(std::move(gx), 1, [&](i64 i, double v) {
    if (slope) return v * act_slope(Act::relu, z[size_t(i)]);
    return v + (c.residual ? double(residual[size_t(i)]) : 0.0);
  });

  DeviceArray<T> dx(x), dgate(gate), ddz(dz), draw(raw), dres(residual), dgx(ins);
  DeviceArray<float> dw(w), imean(in.mean), iscale(in.scale), ibeta(in.beta), ivar(in.var),
      bmean(behind.mean), bscale(behind.scale), dom(of_mean), dov(of_var), dgw(d.c_out * d.c_in), dgg(d.c_in),
      dgb(d.c_in), dm(d.c_in), dv(d.c_in);
  std::vector<float> first;
  for (int again = 0; again < 2; ++again) {
    normed_pointwise_grad(
        card, NormedPointwiseGradCallT<T>{
                  .dims = d,
                  .in = {.x = dx.data(),
                         .mean = c.normed ? imean.data() : nullptr,
                         .scale = iscale.data(),
                         .beta = ibeta.data(),
                         .act = Act::relu,
                         .gate = c.gated ? dgate.data() : nullptr},
                  .gy = {ddz.data(), draw.data(), bmean.data(), bscale.data(), dom.data(), dov.data()},
                  .w = dw.data(),
                  .w_row = w_row,
                  .gw = dgw.data(),
                  .gx = dgx.data(),
                  .residual = c.residual ? dres.data() : nullptr,
                  .out = {ivar.data(), kEps, dgg.data(), dgb.data(), dm.data(), dv.data()}});
    std::vector<float> now = dgw.floats();
    for (const auto* more : {&dgg, &dgb, &dm, &dv}) {
      const auto values = more->floats();
      now.insert(now.end(), values.begin(), values.end());
    }
    if (again) {
      EXPECT_TRUE(same_bits(now, first));
    }
    first = now;
  }
  EXPECT_TRUE(matches<float>(dgw.floats(), gw, whole));
  EXPECT_TRUE(matches<T>(dgx.floats(), gx, whole));
  EXPECT_TRUE(dgw.intact() && dgx.intact() && dgg.intact() && dgb.intact() && dm.intact() && dv.intact());
  if (!slope) return;
  const SlopeResults want = slope_results<T>(gx, x, in, whole);
  EXPECT_TRUE(matches<float>(dgg.floats(), want.gg, whole));
  EXPECT_TRUE(matches<float>(dgb.floats(), want.gb, whole));
  EXPECT_TRUE(matches<float>(dm.floats(), want.om, whole));
  EXPECT_TRUE(matches<float>(dv.floats(), want.ov, whole));
}

TYPED_TEST(CudaNormedPointwise, GradientIsTheSumInDouble) {
  OFFRAMP_NEEDS_CARD();
  for (const Case& c : kCases)
    for (const bool whole : {false, true})
      for (const int multiprocessors : kMultiprocessors) check_gradient<TypeParam>(c, whole, multiprocessors);
}

}  // namespace
}  // namespace offramp::kernels
