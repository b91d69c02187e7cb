// Squeeze-excite on the card, with every tile and in every mode, each stage in double from what the card
// stored of the one before.
#include "tests/cuda/formed.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

struct Case {
  NormedDims dims;
  i64 reduced, apart;  // apart: elements between the rows of a weight
};

// Few and many samples, channels and pixels; samples on both sides of a tile's rows, hidden channels of 32.
const std::vector<Case> kCases = {
    {{60, 24, 0, 20}, 8, 0},    {{21, 13, 0, 7}, 5, 3},   {{17, 104, 0, 1}, 32, 8}, {{50, 336, 0, 2}, 88, 0},
    {{12, 1100, 0, 4}, 272, 4}, {{260, 40, 0, 2}, 16, 0}, {{131, 48, 0, 1}, 40, 0},
};

template <class Mode>
struct CudaSqueeze : ::testing::Test {};
TYPED_TEST_SUITE(CudaSqueeze, Modes);

// A weight with about eight entries other than 0 for each of `entries` values of the longer side, so that
// sums of integers stay short enough to be operands of the next product.
std::vector<float> sparse(i64 rows, i64 columns, i64 row, i64 c, u64 seed) {
  std::vector<float> out(size_t(rows * row), NAN);  // what lies between rows is not read
  Rng rng(seed);
  for (i64 i = 0; i < rows; ++i)
    for (i64 j = 0; j < columns; ++j)
      out[size_t(i * row + j)] = i64(rng.below(u32(c))) < 8 ? float(rng.below(2)) * 2 - 1 : 0.0f;
  return out;
}
std::vector<float> dense(i64 rows, i64 columns, i64 row, u64 seed) {
  std::vector<float> out = reals(rows * row, seed, -0.1, 0.1);
  for (i64 i = 0; i < rows; ++i)
    for (i64 j = columns; j < row; ++j) out[size_t(i * row + j)] = NAN;
  return out;
}
Doubles close_rows(const std::vector<float>& w, i64 rows, i64 columns, i64 row) {
  Doubles out;
  for (i64 i = 0; i < rows; ++i)
    for (i64 j = 0; j < columns; ++j) out.push_back(w[size_t(i * row + j)]);
  return out;
}
// Sums over the hw rows of each sample, of values that are formed in float.
Wanted over_samples(const NormedDims& d, const Doubles& v) {
  const i64 samples = d.rows / d.hw;
  Wanted out{Doubles(size_t(samples * d.c_in), 0.0), Doubles(size_t(samples * d.c_in), 0.0)};
  for (i64 r = 0; r < d.rows; ++r)
    for (i64 c = 0; c < d.c_in; ++c) {
      const size_t to = size_t(r / d.hw * d.c_in + c);
      out.value[to] += v[size_t(r * d.c_in + c)];
      out.bound[to] += std::fabs(v[size_t(r * d.c_in + c)]);
    }
  for (double& b : out.bound) b = rounding_bound(d.hw, b) + float_error(8 * std::sqrt(double(d.hw)));
  return out;
}

template <class Mode>
void check(const Case& shape, bool whole) {
  using T = typename Mode::T;
  const auto& [d, r, apart] = shape;
  Exec card(offramp::cuda::Gpu::instance(), Mode::kMath);
  const Operands<T> of{whole};
  const i64 samples = d.rows / d.hw, c = d.c_in, c_row = c + apart, r_row = r + apart;
  const auto x = of.tensor(d.rows * c, 1);
  auto g = of.tensor(d.rows * c, 2);
  if (whole)
    for (float& v : g) v *= 6;  // the slope of the gate is 1 / 6
  const Norm<T> in(of, c, 5);
  const auto reduce_bias = of.parameter(r, 9), gate_bias = of.parameter(c, 11),
             reduce = whole ? sparse(r, c, c_row, c, 8) : dense(r, c, c_row, 8),
             gate = whole ? sparse(c, r, r_row, c, 10) : dense(c, r, r_row, 10);
  const Doubles reduce_of = close_rows(reduce, r, c, c_row), gate_of = close_rows(gate, c, r, r_row);
  const Act act = whole ? Act::relu : Act::hard_swish;
  const Doubles read = formed(d, x, in, true, nullptr, act);

  DeviceArray<T> dx(x), dg(g), daverage(samples * c), dhidden(samples * r), draw(samples * c),
      dvalue(samples * c), dof_raw(samples * c), dof_hidden(samples * r), dof_mean(samples * c);
  DeviceArray<float> dmean(in.mean), dscale(in.scale), dbeta(in.beta), dreduce(reduce),
      dreduce_bias(reduce_bias), dgate(gate), dgate_bias(gate_bias);
  const NormedT<T> on_card{
      .x = dx.data(), .mean = dmean.data(), .scale = dscale.data(), .beta = dbeta.data(), .act = act};
  std::vector<float> first;
  for (int again = 0; again < 2; ++again) {
    normed_squeeze(card, NormedSqueezeCallT<T>{d, r, on_card, dreduce.data(), dreduce_bias.data(),
                                               dgate.data(), dgate_bias.data(), c_row, r_row, daverage.data(),
                                               dhidden.data(), draw.data(), dvalue.data()});
    normed_squeeze_grad(
        card, NormedSqueezeGradCallT<T>{d, r, on_card, dg.data(), dreduce.data(), dgate.data(), c_row, r_row,
                                        dhidden.data(), draw.data(), dof_raw.data(), dof_hidden.data(),
                                        dof_mean.data()});
    std::vector<float> now;
    for (const auto* part : {&daverage, &dhidden, &draw, &dvalue, &dof_raw, &dof_hidden, &dof_mean}) {
      const auto values = part->floats();
      now.insert(now.end(), values.begin(), values.end());
    }
    if (again) {
      EXPECT_TRUE(same_bits(now, first));
    }
    first = now;
  }
  const auto average = daverage.floats(), hidden = dhidden.floats(), raw = draw.floats(),
             of_raw = dof_raw.floats(), of_hidden = dof_hidden.floats();
  const auto stage = [&](i64 columns, i64 terms, const std::vector<float>& from, const Doubles& w) {
    return sums<Mode>(
        terms, [&](const Map& f) { return product(mapped(f, from), mapped(f, w), samples, columns, terms); });
  };
  const bool exact_average = whole && (d.hw & (d.hw - 1)) == 0;  // 1 / hw is a float
  EXPECT_TRUE(matches<T>(average,
                         then(over_samples(d, read), 1, [&](i64, double v) { return v / double(d.hw); }),
                         exact_average));
  const Wanted want_hidden = then(stage(r, c, average, reduce_of), 1, [&](i64 i, double v) {
    return apply_act(Act::relu, v + double(reduce_bias[size_t(i % r)]));
  });
  EXPECT_TRUE(matches<T>(hidden, want_hidden, exact_average));
  const Wanted want_raw = then(stage(c, r, hidden, gate_of), 1,
                               [&](i64 i, double v) { return v + double(gate_bias[size_t(i % c)]); });
  EXPECT_TRUE(matches<T>(raw, want_raw, exact_average));
  const Wanted stored_raw{doubles(raw), Doubles(raw.size(), 0.0)};
  EXPECT_TRUE(meets<T>(dvalue.floats(), then(stored_raw, 1.0 / 6,
                                             [](i64, double v) { return apply_act(Act::hard_sigmoid, v); })));

  Doubles with_g(read);
  for (size_t i = 0; i < with_g.size(); ++i) with_g[i] *= double(g[i]);
  const Wanted want_of_raw = then(over_samples(d, with_g), 1.0 / 6, [&](i64 i, double v) {
    return v * act_slope(Act::hard_sigmoid, double(raw[size_t(i)]));
  });
  EXPECT_TRUE(matches<T>(of_raw, want_of_raw, whole));
  const Doubles gate_turned = turned(gate_of, c, r), reduce_turned = turned(reduce_of, r, c);
  const Wanted want_of_hidden = then(stage(r, c, of_raw, gate_turned), 1,
                                     [&](i64 i, double v) { return hidden[size_t(i)] > 0 ? v : 0.0; });
  EXPECT_TRUE(matches<T>(of_hidden, want_of_hidden, whole));
  EXPECT_TRUE(matches<T>(dof_mean.floats(), stage(c, r, of_hidden, reduce_turned), whole));
  EXPECT_TRUE(daverage.intact() && dhidden.intact() && draw.intact() && dvalue.intact() && dof_raw.intact() &&
              dof_hidden.intact() && dof_mean.intact());
}

TYPED_TEST(CudaSqueeze, StagesAreTheSumsInDouble) {
  OFFRAMP_NEEDS_CARD();
  for (const Case& c : kCases)
    for (const bool whole : {false, true})
      for (const int multiprocessors : kMultiprocessors) {
        SCOPED_TRACE(std::to_string(c.dims.rows) + "x" + std::to_string(c.dims.c_in) +
                     (whole ? " integers, " : " reals, ") + std::to_string(multiprocessors) +
                     " multiprocessors");
        const SupposedCard supposed(multiprocessors);
        check<TypeParam>(c, whole);
      }
}

}  // namespace
}  // namespace offramp::kernels
