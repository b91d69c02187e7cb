// Normalisation, pooling, resizing, element-wise passes and losses on the card against the host's.
#include <optional>

#include "kernels/binary/binary.h"
#include "kernels/exit_loss/exit_loss.h"
#include "kernels/norm/norm.h"
#include "kernels/normed/normed.h"
#include "kernels/pool/pool.h"
#include "kernels/resize/resize.h"
#include "kernels/softmax/softmax.h"
#include "tests/cuda/modes.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

template <class T>
struct CudaPasses : ::testing::Test {
  // Not in the constructor, which runs before a test can be skipped: without a card there is no instance.
  void SetUp() override {
    OFFRAMP_NEEDS_CARD();
    card.emplace(offramp::cuda::Gpu::instance(), offramp::cuda::Math::f32);
  }
  std::optional<Exec> card;
  Exec host;
  static constexpr double kTolerance = sizeof(T) == 2 ? 1e-2 : 3e-6;
  static std::vector<float> values(i64 count, u64 seed, float low = -1, float high = 1) {
    return rounded_to<T>(reals(count, seed, low, high));
  }
};
using Types = ::testing::Types<float, Bf16>;
TYPED_TEST_SUITE(CudaPasses, Types);

std::vector<float> room(i64 count) { return std::vector<float>(static_cast<size_t>(count)); }

TYPED_TEST(CudaPasses, Norm) {
  using T = TypeParam;
  for (const NormDims d : {NormDims{1, 8}, NormDims{300, 24}, NormDims{77, 13}, NormDims{40, 136}})
    for (const bool batch : {true, false}) {
      SCOPED_TRACE(std::to_string(d.rows) + "x" + std::to_string(d.c));
      const i64 count = d.rows * d.c;
      const auto x = this->values(count, 1, -1, 3), gy = this->values(count, 2),
                 gamma = reals(d.c, 3, 0.5, 1.5), beta = reals(d.c, 4);
      auto y = room(count), mean = room(d.c), var = room(d.c), gx = room(count), gg = room(d.c),
           gb = room(d.c), y2 = room(count);
      norm_train(this->host, NormTrainCall{.dims = d,
                                           .x = x.data(),
                                           .gamma = gamma.data(),
                                           .beta = beta.data(),
                                           .eps = 1e-3f,
                                           .act = Act::hard_swish,
                                           .mean = mean.data(),
                                           .var = var.data(),
                                           .y = y.data()});
      norm(this->host, NormCall{.dims = d,
                                .x = x.data(),
                                .mean = mean.data(),
                                .var = var.data(),
                                .gamma = gamma.data(),
                                .beta = beta.data(),
                                .eps = 1e-3f,
                                .act = Act::relu,
                                .y = y2.data()});
      norm_grad(this->host, NormGradCall{.dims = d,
                                         .x = x.data(),
                                         .gy = gy.data(),
                                         .mean = mean.data(),
                                         .var = var.data(),
                                         .gamma = gamma.data(),
                                         .beta = beta.data(),
                                         .eps = 1e-3f,
                                         .act = Act::hard_swish,
                                         .batch_statistics = batch,
                                         .gx = gx.data(),
                                         .ggamma = gg.data(),
                                         .gbeta = gb.data()});
      DeviceArray<T> dx(x), dgy(gy), dy(count), dy2(count), dgx(count);
      DeviceArray<float> dgamma(gamma), dbeta(beta), dmean(d.c), dvar(d.c), dgg(d.c), dgb(d.c), hmean(mean),
          hvar(var), rmean(gamma), rvar(gamma);
      norm_train(*this->card, NormTrainCallT<T>{.dims = d,
                                                .x = dx.data(),
                                                .gamma = dgamma.data(),
                                                .beta = dbeta.data(),
                                                .eps = 1e-3f,
                                                .act = Act::hard_swish,
                                                .mean = dmean.data(),
                                                .var = dvar.data(),
                                                .y = dy.data(),
                                                .running = {rmean.data(), rvar.data(), 1}});
      norm(*this->card, NormCallT<T>{.dims = d,
                                     .x = dx.data(),
                                     .mean = hmean.data(),
                                     .var = hvar.data(),
                                     .gamma = dgamma.data(),
                                     .beta = dbeta.data(),
                                     .eps = 1e-3f,
                                     .act = Act::relu,
                                     .y = dy2.data()});
      norm_grad(*this->card, NormGradCallT<T>{.dims = d,
                                              .x = dx.data(),
                                              .gy = dgy.data(),
                                              .mean = hmean.data(),
                                              .var = hvar.data(),
                                              .gamma = dgamma.data(),
                                              .beta = dbeta.data(),
                                              .eps = 1e-3f,
                                              .act = Act::hard_swish,
                                              .batch_statistics = batch,
                                              .gx = dgx.data(),
                                              .ggamma = dgg.data(),
                                              .gbeta = dgb.data()});
      const double t = this->kTolerance;
      EXPECT_TRUE(near(dmean.floats(), mean, 3e-6, 3));
      EXPECT_TRUE(near(dvar.floats(), var, 1e-5, 3));
      EXPECT_TRUE(near(rmean.floats(), mean, 3e-6, 3));
      EXPECT_TRUE(near(dy2.floats(), y2, t));
      EXPECT_TRUE(near(dgg.floats(), gg, 1e-5, std::sqrt(double(d.rows))));
      EXPECT_TRUE(near(dgb.floats(), gb, 1e-5, std::sqrt(double(d.rows))));
      if (d.rows > 1) {
        EXPECT_TRUE(near(dy.floats(), y, 4 * t));
        EXPECT_TRUE(near(dgx.floats(), gx, 4 * t));
      }
      EXPECT_TRUE(dy.intact() && dgx.intact() && dgg.intact() && dgb.intact() && rmean.intact() &&
                  rvar.intact());
    }
}

TYPED_TEST(CudaPasses, NormedPasses) {
  using T = TypeParam;
  for (const NormedDims d : {NormedDims{60, 24, 0, 20}, NormedDims{21, 13, 0, 7}, NormedDims{12, 104, 0, 1}})
    for (const bool gated : {true, false}) {
      SCOPED_TRACE(std::to_string(d.rows) + "x" + std::to_string(d.c_in));
      const i64 count = d.rows * d.c_in, samples = d.rows / d.hw;
      const auto x = this->values(count, 1), g = this->values(count, 2),
                 gate = this->values(samples * d.c_in, 3, 0, 1), shift = this->values(samples * d.c_in, 4);
      const auto mean = reals(d.c_in, 5), scale = reals(d.c_in, 6, 0.5, 1.5), beta = reals(d.c_in, 7),
                 var = reals(d.c_in, 8, 0.5, 2);
      const Normed in{.x = x.data(),
                      .mean = mean.data(),
                      .scale = scale.data(),
                      .beta = beta.data(),
                      .act = Act::hard_swish,
                      .gate = gated ? gate.data() : nullptr};
      auto dz = room(count), sum = dz, gg = room(d.c_in), gb = gg, fm = gg, fv = gg;
      normed_slope(this->host, {.dims = d,
                                .in = in,
                                .g = g.data(),
                                .shift = gated ? shift.data() : nullptr,
                                .shift_factor = 0.5f,
                                .dz = dz.data(),
                                .out = {var.data(), 1e-3f, gg.data(), gb.data(), fm.data(), fv.data()}});
      normed_add(this->host, {.dims = d, .in = in, .residual = gated ? g.data() : nullptr, .y = sum.data()});
      DeviceArray<T> dx(x), dg(g), dgate(gate), dshift(shift), ddz(count), dsum(count);
      DeviceArray<float> dmean(mean), dscale(scale), dbeta(beta), dvar(var), dgg(d.c_in), dgb(d.c_in),
          dfm(d.c_in), dfv(d.c_in);
      const NormedT<T> on_card{.x = dx.data(),
                               .mean = dmean.data(),
                               .scale = dscale.data(),
                               .beta = dbeta.data(),
                               .act = Act::hard_swish,
                               .gate = gated ? dgate.data() : nullptr};
      normed_slope(*this->card, NormedSlopeCallT<T>{.dims = d,
                                                    .in = on_card,
                                                    .g = dg.data(),
                                                    .shift = gated ? dshift.data() : nullptr,
                                                    .shift_factor = 0.5f,
                                                    .dz = ddz.data(),
                                                    .out = {dvar.data(), 1e-3f, dgg.data(), dgb.data(),
                                                            dfm.data(), dfv.data()}});
      normed_add(*this->card,
                 NormedAddCallT<T>{
                     .dims = d, .in = on_card, .residual = gated ? dg.data() : nullptr, .y = dsum.data()});
      const double t = this->kTolerance;
      EXPECT_TRUE(near(ddz.floats(), dz, t));
      EXPECT_TRUE(near(dsum.floats(), sum, t));
      EXPECT_TRUE(near(dgg.floats(), gg, 2 * t));
      EXPECT_TRUE(near(dgb.floats(), gb, 2 * t));
      EXPECT_TRUE(near(dfm.floats(), fm, 2 * t));
      EXPECT_TRUE(near(dfv.floats(), fv, 2 * t));
      EXPECT_TRUE(ddz.intact() && dsum.intact() && dgg.intact() && dfv.intact());
    }
}

// Shapes of few and of many samples, channels and pixels; weights whose rows are apart.
TYPED_TEST(CudaPasses, Squeeze) {
  using T = TypeParam;
  struct Case {
    NormedDims dims;
    i64 reduced, apart;
  };
  for (const auto& [d, r, apart] :
       {Case{{60, 24, 0, 20}, 8, 0}, Case{{21, 13, 0, 7}, 5, 3}, Case{{17, 104, 0, 1}, 32, 8},
        Case{{50, 336, 0, 2}, 88, 0}, Case{{39, 1100, 0, 3}, 272, 4}}) {
    SCOPED_TRACE(std::to_string(d.rows) + "x" + std::to_string(d.c_in));
    const i64 count = d.rows * d.c_in, samples = d.rows / d.hw, c = d.c_in, c_row = c + apart,
              r_row = r + apart;
    const auto x = this->values(count, 1), g = this->values(count, 2);
    const auto mean = reals(c, 5), scale = reals(c, 6, 0.5, 1.5), beta = reals(c, 7),
               reduce = reals(r * c_row, 8, -0.1, 0.1), reduce_bias = reals(r, 9),
               gate = reals(c * r_row, 10, -0.1, 0.1), gate_bias = reals(c, 11);
    const Normed in{.x = x.data(),
                    .mean = mean.data(),
                    .scale = scale.data(),
                    .beta = beta.data(),
                    .act = Act::hard_swish};
    auto average = room(samples * c), hidden = room(samples * r), raw = average, value = average,
         of_raw = average, of_hidden = hidden, of_mean = average;
    normed_squeeze(this->host, {d, r, in, reduce.data(), reduce_bias.data(), gate.data(), gate_bias.data(),
                                c_row, r_row, average.data(), hidden.data(), raw.data(), value.data()});
    DeviceArray<T> dx(x), dg(g), daverage(samples * c), dhidden(samples * r), draw(samples * c),
        dvalue(samples * c), dof_raw(samples * c), dof_hidden(samples * r), dof_mean(samples * c);
    DeviceArray<float> dmean(mean), dscale(scale), dbeta(beta), dreduce(reduce), dreduce_bias(reduce_bias),
        dgate(gate), dgate_bias(gate_bias);
    const NormedT<T> on_card{.x = dx.data(),
                             .mean = dmean.data(),
                             .scale = dscale.data(),
                             .beta = dbeta.data(),
                             .act = Act::hard_swish};
    normed_squeeze(*this->card,
                   NormedSqueezeCallT<T>{d, r, on_card, dreduce.data(), dreduce_bias.data(), dgate.data(),
                                         dgate_bias.data(), c_row, r_row, daverage.data(), dhidden.data(),
                                         draw.data(), dvalue.data()});
    const double t = this->kTolerance;
    EXPECT_TRUE(near(daverage.floats(), average, t));
    EXPECT_TRUE(near(dhidden.floats(), hidden, 2 * t));
    EXPECT_TRUE(near(draw.floats(), raw, 2 * t));
    EXPECT_TRUE(near(dvalue.floats(), value, 2 * t));
    // The gradient of what the card stored, so that both see the same places where relu is 0.
    hidden = dhidden.floats(), raw = draw.floats();
    normed_squeeze_grad(
        this->host, {d, r, in, g.data(), reduce.data(), gate.data(), c_row, r_row, hidden.data(), raw.data(),
                     of_raw.data(), of_hidden.data(), of_mean.data()});
    normed_squeeze_grad(
        *this->card, NormedSqueezeGradCallT<T>{d, r, on_card, dg.data(), dreduce.data(), dgate.data(), c_row,
                                               r_row, dhidden.data(), draw.data(), dof_raw.data(),
                                               dof_hidden.data(), dof_mean.data()});
    EXPECT_TRUE(near(dof_raw.floats(), of_raw, t));
    EXPECT_TRUE(near(dof_hidden.floats(), of_hidden, 2 * t));
    EXPECT_TRUE(near(dof_mean.floats(), of_mean, 2 * t));
    EXPECT_TRUE(daverage.intact() && dhidden.intact() && draw.intact() && dvalue.intact() &&
                dof_raw.intact() && dof_hidden.intact() && dof_mean.intact());
  }
}

TYPED_TEST(CudaPasses, Pool) {
  using T = TypeParam;
  for (const PoolKind kind : {PoolKind::max, PoolKind::avg})
    for (const PoolDims d : {PoolDims{2, 7, 6, 24, 3, 2, 1, kind}, PoolDims{1, 5, 5, 13, 2, 2, 0, kind},
                             PoolDims{2, 4, 4, 8, 3, 1, 1, kind}}) {
      const Extent out = pool_out(d);
      const i64 ins = d.n * d.h * d.w * d.c, outs = d.n * out.h * out.w * d.c;
      // Few distinct values: ties go to the first.
      const auto x = integers(ins, 1, 2), gy = this->values(outs, 2);
      auto y = room(outs), gx = room(ins);
      pool(this->host, PoolCall{.dims = d, .out_h = out.h, .out_w = out.w, .x = x.data(), .y = y.data()});
      pool_grad(
          this->host,
          PoolGradCall{
              .dims = d, .out_h = out.h, .out_w = out.w, .x = x.data(), .gy = gy.data(), .gx = gx.data()});
      DeviceArray<T> dx(x), dgy(gy), dy(outs), dgx(ins);
      pool(*this->card,
           PoolCallT<T>{.dims = d, .out_h = out.h, .out_w = out.w, .x = dx.data(), .y = dy.data()});
      pool_grad(
          *this->card,
          PoolGradCallT<T>{
              .dims = d, .out_h = out.h, .out_w = out.w, .x = dx.data(), .gy = dgy.data(), .gx = dgx.data()});
      EXPECT_TRUE(near(dy.floats(), y, kind == PoolKind::max ? 0 : this->kTolerance));
      EXPECT_TRUE(near(dgx.floats(), gx, this->kTolerance));
      EXPECT_TRUE(dy.intact() && dgx.intact());
    }
  for (const GlobalPoolDims d : {GlobalPoolDims{3, 20, 72}, GlobalPoolDims{2, 1, 5}}) {
    const auto x = this->values(d.n * d.hw * d.c, 1), gy = this->values(d.n * d.c, 2);
    auto y = room(d.n * d.c), gx = room(d.n * d.hw * d.c);
    global_avg_pool(this->host, GlobalAvgPoolCall{.dims = d, .x = x.data(), .y = y.data()});
    global_avg_pool_grad(this->host, GlobalAvgPoolGradCall{.dims = d, .gy = gy.data(), .gx = gx.data()});
    DeviceArray<T> dx(x), dgy(gy), dy(d.n * d.c), dgx(d.n * d.hw * d.c);
    global_avg_pool(*this->card, GlobalAvgPoolCallT<T>{.dims = d, .x = dx.data(), .y = dy.data()});
    global_avg_pool_grad(*this->card,
                         GlobalAvgPoolGradCallT<T>{.dims = d, .gy = dgy.data(), .gx = dgx.data()});
    EXPECT_TRUE(near(dy.floats(), y, this->kTolerance));
    EXPECT_TRUE(near(dgx.floats(), gx, this->kTolerance));
    EXPECT_TRUE(dy.intact() && dgx.intact());
  }
}

TYPED_TEST(CudaPasses, Resize) {
  using T = TypeParam;
  for (const ResizeKind kind : {ResizeKind::bilinear, ResizeKind::bicubic})
    for (const ResizeDims d : {ResizeDims{2, 5, 4, 8, 8, 10, kind}, ResizeDims{1, 9, 8, 13, 4, 3, kind},
                               ResizeDims{1, 2, 2, 16, 8, 8, kind}, ResizeDims{1, 1, 3, 8, 5, 3, kind}}) {
      const i64 ins = d.n * d.h * d.w * d.c, outs = d.n * d.out_h * d.out_w * d.c;
      const auto x = this->values(ins, 1), gy = this->values(outs, 2);
      auto y = room(outs), gx = room(ins);
      resize(this->host, ResizeCall{.dims = d, .x = x.data(), .y = y.data()});
      resize_grad(this->host, ResizeGradCall{.dims = d, .gy = gy.data(), .gx = gx.data()});
      DeviceArray<T> dx(x), dgy(gy), dy(outs), dgx(ins);
      resize(*this->card, ResizeCallT<T>{.dims = d, .x = dx.data(), .y = dy.data()});
      resize_grad(*this->card, ResizeGradCallT<T>{.dims = d, .gy = dgy.data(), .gx = dgx.data()});
      EXPECT_TRUE(near(dy.floats(), y, this->kTolerance));
      EXPECT_TRUE(near(dgx.floats(), gx, this->kTolerance));
      EXPECT_TRUE(dy.intact() && dgx.intact());
    }
}

TYPED_TEST(CudaPasses, Binary) {
  using T = TypeParam;
  for (const BinaryKind kind : {BinaryKind::add, BinaryKind::mul})
    for (const bool broadcast : {false, true})
      for (const i64 c : {24, 13}) {
        const BinaryDims d{3, 11, c, kind, broadcast};
        const i64 count = d.n * d.hw * c, zs = broadcast ? d.n * c : count;
        const auto x = this->values(count, 1), z = this->values(zs, 2), gy = this->values(count, 3);
        auto y = room(count), gx = room(count), gz = room(zs);
        binary(this->host, BinaryCall{.dims = d, .x = x.data(), .z = z.data(), .y = y.data()});
        binary_grad(
            this->host,
            BinaryGradCall{
                .dims = d, .x = x.data(), .z = z.data(), .gy = gy.data(), .gx = gx.data(), .gz = gz.data()});
        DeviceArray<T> dx(x), dz(z), dgy(gy), dy(count), dgx(count), dgz(zs);
        binary(*this->card, BinaryCallT<T>{.dims = d, .x = dx.data(), .z = dz.data(), .y = dy.data()});
        binary_grad(*this->card, BinaryGradCallT<T>{.dims = d,
                                                    .x = dx.data(),
                                                    .z = dz.data(),
                                                    .gy = dgy.data(),
                                                    .gx = dgx.data(),
                                                    .gz = dgz.data()});
        EXPECT_TRUE(near(dy.floats(), y, this->kTolerance));
        EXPECT_TRUE(near(dgx.floats(), gx, this->kTolerance));
        EXPECT_TRUE(near(dgz.floats(), gz, this->kTolerance));
        EXPECT_TRUE(dy.intact() && dgx.intact() && dgz.intact());
      }
}

TYPED_TEST(CudaPasses, SoftmaxAndLosses) {
  using T = TypeParam;
  const double t = this->kTolerance;
  for (const i64 rows : {1, 9, 70})
    for (const i64 classes : {3, 10, 100}) {
      SCOPED_TRACE(std::to_string(rows) + "x" + std::to_string(classes));
      const i64 count = rows * classes;
      const auto x = this->values(count, 1, -4, 4), x2 = this->values(count, 2, -4, 4),
                 teacher = this->values(count, 3, -4, 4), gy = this->values(count, 4);
      std::vector<i64> target;
      for (i64 i = 0; i < rows; ++i) target.push_back(i * 7 % classes);
      DeviceArray<T> dx(x), dx2(x2), dteacher(teacher), dgy(gy), dy(count), dgx(count), dgx2(count);
      DeviceArray<i64> dtarget(rows);
      offramp::cuda::copy(this->card->gpu()->stream(), dtarget.data(), target.data(), rows * 8);
      this->card->gpu()->synchronize();
      DeviceArray<float> dloss(1);
      for (const bool log : {false, true}) {
        auto y = room(count), gx = room(count);
        softmax(this->host, SoftmaxCall{.dims = {rows, classes, log}, .x = x.data(), .y = y.data()});
        const auto stored = rounded_to<T>(y);
        softmax_grad(this->host,
                     SoftmaxGradCall{
                         .dims = {rows, classes, log}, .y = stored.data(), .gy = gy.data(), .gx = gx.data()});
        softmax(*this->card, SoftmaxCallT<T>{.dims = {rows, classes, log}, .x = dx.data(), .y = dy.data()});
        softmax_grad(*this->card,
                     SoftmaxGradCallT<T>{
                         .dims = {rows, classes, log}, .y = dy.data(), .gy = dgy.data(), .gx = dgx.data()});
        EXPECT_TRUE(near(dy.floats(), y, t));
        EXPECT_TRUE(near(dgx.floats(), gx, 4 * t));
      }
      float loss = 0;
      auto gx = room(count), gx2 = room(count);
      cross_entropy(this->host, CrossEntropyCall{.rows = rows,
                                                 .classes = classes,
                                                 .label_smoothing = 0.1f,
                                                 .x = x.data(),
                                                 .target = target.data(),
                                                 .loss = &loss,
                                                 .upstream = 2,
                                                 .gx = gx.data()});
      cross_entropy(*this->card, CrossEntropyCallT<T>{.rows = rows,
                                                      .classes = classes,
                                                      .label_smoothing = 0.1f,
                                                      .x = dx.data(),
                                                      .target = dtarget.data(),
                                                      .loss = dloss.data(),
                                                      .upstream = 2,
                                                      .gx = dgx.data()});
      EXPECT_NEAR(dloss.read()[0], loss, 1e-5 * std::fabs(loss));
      EXPECT_TRUE(near(dgx.floats(), gx, t));
      kl_div(this->host, KlDivCall{.rows = rows,
                                   .classes = classes,
                                   .temperature = 2,
                                   .x = x.data(),
                                   .teacher = teacher.data(),
                                   .loss = &loss,
                                   .upstream = 0.5f,
                                   .gx = gx.data()});
      kl_div(*this->card, KlDivCallT<T>{.rows = rows,
                                        .classes = classes,
                                        .temperature = 2,
                                        .x = dx.data(),
                                        .teacher = dteacher.data(),
                                        .loss = dloss.data(),
                                        .upstream = 0.5f,
                                        .gx = dgx.data()});
      EXPECT_NEAR(dloss.read()[0], loss, 2e-5 * std::fmax(std::fabs(loss), 1.0f));
      EXPECT_TRUE(near(dgx.floats(), gx, t));
      ExitLossCall all{.rows = rows,
                       .classes = classes,
                       .exits = 2,
                       .exit = {},
                       .target = target.data(),
                       .label_smoothing = 0.05f,
                       .temperature = 1.5f,
                       .loss = &loss};
      all.exit[0] = {x.data(), x2.data(), 0.4f, 0.6f, gx.data()};
      all.exit[1] = {x2.data(), nullptr, 1, 0, gx2.data()};
      exit_loss(this->host, all);
      ExitLossCallT<T> on_card{.rows = rows,
                               .classes = classes,
                               .exits = 2,
                               .exit = {},
                               .target = dtarget.data(),
                               .label_smoothing = 0.05f,
                               .temperature = 1.5f,
                               .loss = dloss.data()};
      on_card.exit[0] = {dx.data(), dx2.data(), 0.4f, 0.6f, dgx.data()};
      on_card.exit[1] = {dx2.data(), nullptr, 1, 0, dgx2.data()};
      exit_loss(*this->card, on_card);
      EXPECT_NEAR(dloss.read()[0], loss, 2e-5 * std::fmax(std::fabs(loss), 1.0f));
      EXPECT_TRUE(near(dgx.floats(), gx, 2 * t));
      EXPECT_TRUE(near(dgx2.floats(), gx2, 2 * t));
      EXPECT_TRUE(dgx.intact() && dgx2.intact() && dloss.intact());
    }
}

}  // namespace
}  // namespace offramp::kernels
