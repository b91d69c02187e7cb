// Normalisation and the passes between two of them on the card, against the reference in double. What follows
// from statistics is compared with what follows from those that the card found.
#include "kernels/norm/norm.h"

#include "kernels/norm/norm_ref.h"
#include "tests/cuda/formed.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

template <class T>
struct CudaNorm : ::testing::Test {};
using Types = ::testing::Types<float, Bf16>;
TYPED_TEST_SUITE(CudaNorm, Types);

// Values that an activation and its slope are taken of come from a few float operations on values of `size`.
constexpr double kSteepest = 1.5, kCurved = 1.0 / 3;  // of hard_swish

template <class T>
void check(const NormDims& d, bool batch, bool whole) {
  Exec card(offramp::cuda::Gpu::instance(), offramp::cuda::Math::f32);
  const Operands<T> of{whole};
  const i64 count = d.rows * d.c;
  const auto x = of.tensor(count, 1, -1, 3), gy = of.tensor(count, 2);
  const auto gamma = of.positive(d.c, 3), beta = of.parameter(d.c, 4);
  // Given statistics; of integers those that make every step exact.
  auto mean = of.parameter(d.c, 5), var = of.positive(d.c, 6);
  if (whole)
    for (float& v : var) v *= v;
  const float eps = whole ? 0 : kEps;
  const Act act = whole ? Act::relu : Act::hard_swish;
  DeviceArray<T> dx(x), dgy(gy), dy(count), dy_given(count), dgx(count);
  DeviceArray<float> dgamma(gamma), dbeta(beta), dmean(d.c), dvar(d.c), dgg(d.c), dgb(d.c), gmean(mean),
      gvar(var), rmean(gamma), rvar(gamma);
  std::vector<float> first;
  for (int again = 0; again < 2; ++again) {
    norm_train(card, NormTrainCallT<T>{.dims = d,
                                       .x = dx.data(),
                                       .gamma = dgamma.data(),
                                       .beta = dbeta.data(),
                                       .eps = kEps,
                                       .act = act,
                                       .mean = dmean.data(),
                                       .var = dvar.data(),
                                       .y = dy.data(),
                                       .running = {rmean.data(), rvar.data(), 1}});
    norm(card, NormCallT<T>{.dims = d,
                            .x = dx.data(),
                            .mean = gmean.data(),
                            .var = gvar.data(),
                            .gamma = dgamma.data(),
                            .beta = dbeta.data(),
                            .eps = eps,
                            .act = act,
                            .y = dy_given.data()});
    norm_grad(card, NormGradCallT<T>{.dims = d,
                                     .x = dx.data(),
                                     .gy = dgy.data(),
                                     .mean = gmean.data(),
                                     .var = gvar.data(),
                                     .gamma = dgamma.data(),
                                     .beta = dbeta.data(),
                                     .eps = eps,
                                     .act = act,
                                     .batch_statistics = batch,
                                     .gx = dgx.data(),
                                     .ggamma = dgg.data(),
                                     .gbeta = dgb.data()});
    std::vector<float> now;
    for (const auto* part : {&dmean, &dvar, &dgg, &dgb, &rmean, &rvar}) {
      const auto values = part->floats();
      now.insert(now.end(), values.begin(), values.end());
    }
    if (again) {
      EXPECT_TRUE(same_bits(now, first));
    }
    first = now;
  }
  // Statistics.
  const auto found_mean = dmean.floats(), found_var = dvar.floats();
  const Doubles in = doubles(x);
  Wanted of_mean{room_for(d.c), room_for(d.c)}, of_var = of_mean, unbiased = of_mean;
  for (i64 c = 0; c < d.c; ++c) {
    double sum = 0, squares = 0, span = 0, n = double(d.rows);
    for (i64 i = c; i < count; i += d.c) sum += in[size_t(i)];
    for (i64 i = c; i < count; i += d.c) {
      squares += std::pow(in[size_t(i)] - sum / n, 2);
      for (i64 j = c; j < count; j += d.c * 7)
        span = std::fmax(span, std::fabs(in[size_t(i)] - in[size_t(j)]));
    }
    const double bound = rounding_bound(d.rows, 1) * span;
    of_mean.value[size_t(c)] = sum / n, of_mean.bound[size_t(c)] = bound + float_error(3);
    of_var.value[size_t(c)] = squares / n, of_var.bound[size_t(c)] = bound * span + float_error(squares / n);
    unbiased.value[size_t(c)] = d.rows > 1 ? squares / (n - 1) : 0.0;
    unbiased.bound[size_t(c)] = 2 * of_var.bound[size_t(c)];
  }
  EXPECT_TRUE(meets<float>(found_mean, of_mean));
  EXPECT_TRUE(meets<float>(found_var, of_var));
  EXPECT_TRUE(meets<float>(rmean.floats(), of_mean));
  EXPECT_TRUE(meets<float>(rvar.floats(), unbiased));
  // What follows.
  const Doubles g = doubles(gy), dg = doubles(gamma), db = doubles(beta);
  const auto scale_of = [&](const std::vector<float>& v, size_t c, float e) {
    return dg[c] / std::sqrt(double(v[c]) + double(e));
  };
  const auto applied = [&](const std::vector<float>& m, const std::vector<float>& v, float e) {
    const Doubles dm = doubles(m), dv = doubles(v);
    Wanted out{room_for(count), room_for(count)};
    norm_reference(NormCallT<double>{.dims = d,
                                     .x = in.data(),
                                     .mean = dm.data(),
                                     .var = dv.data(),
                                     .gamma = dg.data(),
                                     .beta = db.data(),
                                     .eps = double(e),
                                     .act = act,
                                     .y = out.value.data()});
    for (size_t i = 0; i < out.value.size(); ++i) {
      const size_t c = i % size_t(d.c);
      out.bound[i] =
          kSteepest * float_error(2 * std::fabs(in[i] - dm[c]) * scale_of(v, c, e) + 2 * std::fabs(db[c])) +
          float_error(std::fabs(out.value[i]));
    }
    return out;
  };
  EXPECT_TRUE(meets<T>(dy.floats(), applied(found_mean, found_var, kEps)));
  EXPECT_TRUE(matches<T>(dy_given.floats(), applied(mean, var, eps), whole));
  // Gradients, of given statistics.
  const Doubles dm = doubles(mean), dv = doubles(var);
  Wanted gx{room_for(count), room_for(count)}, gg{room_for(d.c), room_for(d.c)}, gb = gg;
  norm_grad_reference(NormGradCallT<double>{.dims = d,
                                            .x = in.data(),
                                            .gy = g.data(),
                                            .mean = dm.data(),
                                            .var = dv.data(),
                                            .gamma = dg.data(),
                                            .beta = db.data(),
                                            .eps = double(eps),
                                            .act = act,
                                            .batch_statistics = batch,
                                            .gx = gx.value.data(),
                                            .ggamma = gg.value.data(),
                                            .gbeta = gb.value.data()});
  for (size_t c = 0; c < size_t(d.c); ++c) {
    const double scale = scale_of(var, c, eps), inverse = scale / dg[c];
    SlopeSums sums;
    const auto of_dz = [&](size_t i) {  // of gy and a slope at z
      const double z = std::fabs(in[i] - dm[c]) * scale + std::fabs(db[c]);
      return std::fabs(g[i]) * (kCurved * float_error(2 * z) + float_error(2 * kSteepest));
    };
    const auto dz = [&](size_t i) { return g[i] * act_slope(act, (in[i] - dm[c]) * scale + db[c]); };
    for (size_t i = c; i < size_t(count); i += size_t(d.c)) sums.add(dz(i), in[i] - dm[c], of_dz(i));
    sums.close();
    gb.bound[c] = sums.error;
    gg.bound[c] = sums.error_d * inverse + float_error(2 * std::fabs(gg.value[c]));
    for (size_t i = c; i < size_t(count); i += size_t(d.c)) {
      gx.bound[i] = scale * (of_dz(i) + float_error(2 * std::fabs(dz(i))));
      if (batch)
        gx.bound[i] +=
            scale / double(d.rows) *
            (gb.bound[c] + float_error(2 * std::fabs(gb.value[c])) +
             std::fabs(in[i] - dm[c]) * inverse * (gg.bound[c] + float_error(2 * std::fabs(gg.value[c]))));
    }
  }
  EXPECT_TRUE(matches<float>(dgb.floats(), gb, whole));
  EXPECT_TRUE(matches<float>(dgg.floats(), gg, whole));
  EXPECT_TRUE(matches<T>(dgx.floats(), gx, whole && !batch));
  EXPECT_TRUE(dy.intact() && dy_given.intact() && dgx.intact() && dgg.intact() && dgb.intact() &&
              rmean.intact() && rvar.intact());
}

TYPED_TEST(CudaNorm, IsTheReferenceInDouble) {
  OFFRAMP_NEEDS_CARD();
  for (const NormDims d : {NormDims{1, 8}, NormDims{300, 24}, NormDims{77, 13}, NormDims{40, 136}})
    for (const bool batch : {true, false})
      for (const bool whole : {true, false})
        for (const int multiprocessors : kMultiprocessors) {
          SCOPED_TRACE(std::to_string(d.rows) + "x" + std::to_string(d.c) +
                       (whole ? " integers, " : " reals, ") + std::to_string(multiprocessors) +
                       " multiprocessors");
          const SupposedCard supposed(multiprocessors);
          check<TypeParam>(d, batch, whole);
        }
}

}  // namespace
}  // namespace offramp::kernels
