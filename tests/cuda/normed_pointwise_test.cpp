// Pointwise convolutions between normalisations on the card, against the host's.
#include "kernels/normed/normed.h"
#include "tests/cuda/modes.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

struct Case {
  NormedDims dims;
  bool normed, gated, residual;
};

// Around the tiles (128 x 32 and 128 x 64, k in 32), odd widths, more than one walk of a block.
const std::vector<Case> kCases = {
    {{.rows = 1, .c_in = 8, .c_out = 8, .hw = 1}, true, false, false},
    {{.rows = 130, .c_in = 24, .c_out = 40, .hw = 13}, true, true, false},
    {{.rows = 257, .c_in = 16, .c_out = 72, .hw = 257}, false, false, true},
    {{.rows = 128, .c_in = 64, .c_out = 16, .hw = 64}, true, false, false},
    {{.rows = 300, .c_in = 5, .c_out = 13, .hw = 30}, true, true, false},
    {{.rows = 2100, .c_in = 40, .c_out = 33, .hw = 100}, true, false, false},
};

template <class Mode>
struct CudaNormedPointwise : ::testing::Test {};
TYPED_TEST_SUITE(CudaNormedPointwise, Modes);

// Parameters of a normalisation, as a batch would leave them.
struct Norm {
  std::vector<float> mean, scale, beta, var, gamma;
  Norm(i64 c, u64 seed)
      : mean(reals(c, seed)),
        scale(reals(c, seed + 1, 0.5, 1.5)),
        beta(reals(c, seed + 2)),
        var(reals(c, seed + 3, 0.5, 2)),
        gamma(reals(c, seed + 4, 0.5, 1.5)) {}
};

TYPED_TEST(CudaNormedPointwise, ForwardIsTheHosts) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  Exec card(offramp::cuda::Gpu::instance(), TypeParam::kMath), host;
  for (const Case& c : kCases) {
    const NormedDims& d = c.dims;
    SCOPED_TRACE(std::to_string(d.rows) + "x" + std::to_string(d.c_in) + "x" + std::to_string(d.c_out));
    const auto x = rounded_to<T>(reals(d.rows * d.c_in, 1)), w = reals(d.c_out * d.c_in, 2),
               gate = rounded_to<T>(reals(d.rows / d.hw * d.c_in, 3, 0, 1));
    const Norm in(d.c_in, 4), after(d.c_out, 20);
    const float weight = 0.25f;
    std::vector<float> y(size_t(d.rows * d.c_out)), mean(size_t(d.c_out)), var(mean), scale(mean);
    normed_pointwise(host, {.dims = d,
                            .in = {.x = x.data(),
                                   .mean = c.normed ? in.mean.data() : nullptr,
                                   .scale = in.scale.data(),
                                   .beta = in.beta.data(),
                                   .act = Act::hard_swish,
                                   .gate = c.gated ? gate.data() : nullptr},
                            .w = w.data(),
                            .w_row = d.c_in,
                            .y = y.data(),
                            .out = {after.gamma.data(), 1e-3f, mean.data(), var.data(), scale.data()}});
    DeviceArray<T> dx(x), dgate(gate), dy(d.rows * d.c_out);
    DeviceArray<float> dw(w), imean(in.mean), iscale(in.scale), ibeta(in.beta), gamma(after.gamma),
        dmean(d.c_out), dvar(d.c_out), dscale(d.c_out), rmean(after.mean), rvar(after.var);
    std::vector<T> first;
    for (int again = 0; again < 2; ++again) {
      NormedPointwiseCallT<T> call{.dims = d,
                                   .in = {.x = dx.data(),
                                          .mean = c.normed ? imean.data() : nullptr,
                                          .scale = iscale.data(),
                                          .beta = ibeta.data(),
                                          .act = Act::hard_swish,
                                          .gate = c.gated ? dgate.data() : nullptr},
                                   .w = dw.data(),
                                   .w_row = d.c_in,
                                   .y = dy.data(),
                                   .out = {gamma.data(),
                                           1e-3f,
                                           dmean.data(),
                                           dvar.data(),
                                           dscale.data(),
                                           {again ? nullptr : rmean.data(), rvar.data(), weight}}};
      normed_pointwise(card, call);
      if (again) {
        EXPECT_EQ(std::memcmp(dy.read().data(), first.data(), first.size() * sizeof(T)), 0);
      }
      first = dy.read();
    }
    const double t = TypeParam::kTolerance;
    EXPECT_TRUE(near(dy.floats(), y, t));
    EXPECT_TRUE(dy.intact());
    EXPECT_TRUE(near(dmean.floats(), mean, t, largest(y)));
    EXPECT_TRUE(near(dvar.floats(), var, 2 * t));
    if (d.rows > 1) {
      EXPECT_TRUE(near(dscale.floats(), scale, 4 * t));
    }
    EXPECT_TRUE(dmean.intact() && dvar.intact() && dscale.intact());
    std::vector<float> want_mean(mean), want_var(var);
    for (size_t i = 0; i < mean.size(); ++i) {
      const float unbiased = d.rows > 1 ? var[i] * float(d.rows) / float(d.rows - 1) : var[i];
      want_mean[i] = after.mean[i] + weight * (mean[i] - after.mean[i]);
      want_var[i] = after.var[i] + weight * (unbiased - after.var[i]);
    }
    EXPECT_TRUE(near(rmean.floats(), want_mean, t, largest(y)));
    EXPECT_TRUE(near(rvar.floats(), want_var, 2 * t));
  }
}

TYPED_TEST(CudaNormedPointwise, BiasAndActivationWithoutNormalisation) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  Exec card(offramp::cuda::Gpu::instance(), TypeParam::kMath), host;
  const NormedDims d{.rows = 37, .c_in = 48, .c_out = 12};
  const auto x = rounded_to<T>(reals(d.rows * d.c_in, 1)), w = reals(d.c_out * d.c_in, 2),
             bias = reals(d.c_out, 3);
  std::vector<float> y(size_t(d.rows * d.c_out));
  normed_pointwise(host, {.dims = d,
                          .in = {.x = x.data()},
                          .w = w.data(),
                          .w_row = d.c_in,
                          .y = y.data(),
                          .bias = bias.data(),
                          .act = Act::relu});
  DeviceArray<T> dx(x), dy(d.rows * d.c_out);
  DeviceArray<float> dw(w), db(bias);
  normed_pointwise(card, NormedPointwiseCallT<T>{.dims = d,
                                                 .in = {.x = dx.data()},
                                                 .w = dw.data(),
                                                 .w_row = d.c_in,
                                                 .y = dy.data(),
                                                 .bias = db.data(),
                                                 .act = Act::relu});
  EXPECT_TRUE(near(dy.floats(), y, TypeParam::kTolerance));
  EXPECT_TRUE(dy.intact());
}

TYPED_TEST(CudaNormedPointwise, GradientIsTheHosts) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  Exec card(offramp::cuda::Gpu::instance(), TypeParam::kMath), host;
  for (const Case& c : kCases) {
    const NormedDims& d = c.dims;
    SCOPED_TRACE(std::to_string(d.rows) + "x" + std::to_string(d.c_in) + "x" + std::to_string(d.c_out));
    const i64 ins = d.rows * d.c_in, outs = d.rows * d.c_out, w_row = d.c_in + 8;  // a strided weight
    const auto x = rounded_to<T>(reals(ins, 1)), w = reals(d.c_out * w_row, 2),
               gate = rounded_to<T>(reals(d.rows / d.hw * d.c_in, 3, 0, 1));
    const auto dz = rounded_to<T>(reals(outs, 5)), raw = rounded_to<T>(reals(outs, 6)),
               residual = rounded_to<T>(reals(ins, 7));
    const auto of_mean = reals(d.c_out, 8), of_var = reals(d.c_out, 9);
    const Norm in(d.c_in, 4), behind(d.c_out, 20);
    std::vector<float> gw(size_t(d.c_out * d.c_in)), gx(static_cast<size_t>(ins)), ggamma(size_t(d.c_in)),
        gbeta(ggamma), om(ggamma), ov(ggamma);
    const bool slope = c.normed && !c.gated;
    normed_pointwise_grad(
        host, {.dims = d,
               .in = {.x = x.data(),
                      .mean = c.normed ? in.mean.data() : nullptr,
                      .scale = in.scale.data(),
                      .beta = in.beta.data(),
                      .act = Act::relu,
                      .gate = c.gated ? gate.data() : nullptr},
               .gy = {dz.data(), raw.data(), behind.mean.data(), behind.scale.data(), of_mean.data(),
                      of_var.data()},
               .w = w.data(),
               .w_row = w_row,
               .gw = gw.data(),
               .gx = gx.data(),
               .residual = c.residual ? residual.data() : nullptr,
               .out = {in.var.data(), 1e-3f, ggamma.data(), gbeta.data(), om.data(), ov.data()}});
    DeviceArray<T> dx(x), dgate(gate), ddz(dz), draw(raw), dres(residual), dgx(ins);
    DeviceArray<float> dw(w), imean(in.mean), iscale(in.scale), ibeta(in.beta), ivar(in.var),
        bmean(behind.mean), bscale(behind.scale), dom(of_mean), dov(of_var);
    DeviceArray<float> dgw(d.c_out * d.c_in), dgg(d.c_in), dgb(d.c_in), dm(d.c_in), dv(d.c_in);
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
                    .out = {ivar.data(), 1e-3f, dgg.data(), dgb.data(), dm.data(), dv.data()}});
      const auto now = dgw.floats();
      if (again) {
        EXPECT_EQ(std::memcmp(now.data(), first.data(), first.size() * 4), 0);
      }
      first = now;
    }
    const double t = TypeParam::kTolerance * 2;
    EXPECT_TRUE(near(dgw.floats(), gw, t));
    EXPECT_TRUE(near(dgx.floats(), gx, t));
    EXPECT_TRUE(dgw.intact() && dgx.intact());
    if (!slope) continue;
    EXPECT_TRUE(near(dgg.floats(), ggamma, 2 * t));
    EXPECT_TRUE(near(dgb.floats(), gbeta, 2 * t));
    EXPECT_TRUE(near(dm.floats(), om, 2 * t));
    EXPECT_TRUE(near(dv.floats(), ov, 2 * t));
    EXPECT_TRUE(dgg.intact() && dgb.intact() && dm.intact() && dv.intact());
  }
}

}  // namespace
}  // namespace offramp::kernels
