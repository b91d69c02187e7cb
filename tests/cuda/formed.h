// Tensors that kernels form while they read them (normed_call.h), in double, and operands to form them from.
#pragma once
#include "kernels/act/act_ref.h"
#include "kernels/normed/normed.h"
#include "tests/cuda/oracle.h"

namespace offramp::testing {

inline constexpr float kEps = 1e-3f;

// Operands of a case: integers so small that every product and sum of them is exact in every mode, or reals.
template <class T>
struct Operands {
  bool whole;
  std::vector<float> tensor(i64 count, u64 seed, float low = -1, float high = 1) const {
    return whole ? integers(count, seed, 2) : rounded_to<T>(reals(count, seed, low, high));
  }
  std::vector<float> parameter(i64 count, u64 seed, float low = -1, float high = 1) const {
    return whole ? integers(count, seed, 1) : reals(count, seed, low, high);
  }
  std::vector<float> positive(i64 count, u64 seed) const {
    std::vector<float> out = whole ? integers(count, seed, 1) : reals(count, seed, 0.5, 1.5);
    if (whole)
      for (float& v : out) v = v > 0 ? 2 : 1;
    return out;
  }
};

// Parameters of a normalisation, as a batch would leave them.
template <class T>
struct Norm {
  std::vector<float> mean, scale, beta, var, gamma;
  Norm(const Operands<T>& of, i64 c, u64 seed)
      : mean(of.parameter(c, seed)),
        scale(of.positive(c, seed + 1)),
        beta(of.parameter(c, seed + 2)),
        var(reals(c, seed + 3, 0.5, 2)),
        gamma(reals(c, seed + 4, 0.5, 1.5)) {}
};

// What `in` is read as, and the argument of its activation.
template <class T>
Doubles formed(const kernels::NormedDims& d, const std::vector<float>& x, const Norm<T>& in, bool normed,
               const std::vector<float>* gate, Act act, Doubles* before = nullptr) {
  Doubles out = doubles(x);
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t ch = i % size_t(d.c_in), sample = i / size_t(d.c_in) / size_t(d.hw);
    if (normed) out[i] = (out[i] - double(in.mean[ch])) * double(in.scale[ch]) + double(in.beta[ch]);
    if (before) before->push_back(out[i]);
    if (normed) out[i] = kernels::apply_act(act, out[i]);
    if (gate) out[i] *= double((*gate)[sample * size_t(d.c_in) + ch]);
  }
  return out;
}
// Of a [m][k] and b [n][k].
inline Doubles product(const Doubles& a, const Doubles& b, i64 m, i64 n, i64 k) {
  Doubles out(size_t(m * n), 0.0);
  for (i64 i = 0; i < m; ++i)
    for (i64 j = 0; j < n; ++j)
      for (i64 p = 0; p < k; ++p) out[size_t(i * n + j)] += a[size_t(i * k + p)] * b[size_t(j * k + p)];
  return out;
}
inline Doubles turned(const Doubles& a, i64 rows, i64 columns) {
  Doubles out(a.size());
  for (i64 i = 0; i < rows; ++i)
    for (i64 j = 0; j < columns; ++j) out[size_t(j * rows + i)] = a[size_t(i * columns + j)];
  return out;
}
// Operands that are formed in float: a few roundings of values of about 4 each.
inline Wanted from_formed(Wanted w, i64 terms, bool whole) {
  if (!whole)
    for (double& b : w.bound) b += float_error(4 * std::sqrt(double(terms)));
  return w;
}

// Sums of dz and dz * (x - mean) over the rows of a channel, and what a float sum may be from them: no error
// of a sum exceeds the sum of the errors of its terms.
struct SlopeSums {
  double sum = 0, with_d = 0, error = 0, error_d = 0;
  void add(double dz, double d, double bound) {
    sum += dz, with_d += dz * d, all_ += std::fabs(dz), all_d_ += std::fabs(dz * d), ++rows_;
    error += bound, error_d += bound * std::fabs(d) + float_error(std::fabs(dz) * (1 + std::fabs(d)));
  }
  void close() { error += rounding_bound(rows_, all_), error_d += rounding_bound(rows_, all_d_); }

 private:
  double all_ = 0, all_d_ = 0;
  i64 rows_ = 0;
};

// What the gradient of a normalisation leaves (NormGradOut) of the gradients dz behind its activation, which
// are stored as T before they are summed.
struct SlopeResults {
  Wanted gg, gb, om, ov;
};
template <class T, class V>
SlopeResults slope_results(const Wanted& dz, const std::vector<float>& x, const Norm<V>& in, bool whole) {
  const size_t channels = in.mean.size(), rows = x.size() / channels;
  const Wanted empty{Doubles(channels, NAN), Doubles(channels, NAN)};
  SlopeResults out{empty, empty, empty, empty};
  for (size_t c = 0; c < channels; ++c) {
    SlopeSums sums;
    for (size_t i = c; i < x.size(); i += channels) {
      const double v = whole ? double(float(T(float(dz.value[i])))) : dz.value[i];  // as it was stored
      sums.add(v, double(x[i]) - double(in.mean[c]), dz.bound[i] + storage_error<T>() * std::fabs(v));
    }
    sums.close();
    const double deviation = std::sqrt(double(in.var[c]) + double(kEps)), scale = in.scale[c],
                 n = double(rows);
    const auto put = [&](Wanted& w, double value, double bound) {
      w.value[c] = value, w.bound[c] = bound + float_error(std::fabs(value));
    };
    put(out.gb, sums.sum, sums.error);
    put(out.gg, sums.with_d / deviation, sums.error_d / deviation);
    put(out.om, scale * sums.sum / n, scale * sums.error / n);
    put(out.ov, scale * (sums.with_d / deviation) / (deviation * n),
        scale * sums.error_d / (deviation * deviation * n));
  }
  return out;
}

// Mean, variance and scale of y as it was stored.
template <class T>
void check_statistics(const kernels::NormedDims& d, const Wanted& y, bool whole,
                      const std::vector<float>& gamma, const std::vector<float>& mean,
                      const std::vector<float>& var, const std::vector<float>& scale) {
  for (i64 c = 0; c < d.c_out; ++c) {
    double sum = 0, low = INFINITY, high = -INFINITY, bound = 0, squares = 0;
    const auto at = [&](i64 r) {
      const double v = y.value[size_t(r * d.c_out + c)];
      return whole ? double(float(T(float(v)))) : v;
    };
    for (i64 r = 0; r < d.rows; ++r) {
      sum += at(r), low = std::fmin(low, at(r)), high = std::fmax(high, at(r));
      if (!whole) bound += y.bound[size_t(r * d.c_out + c)] + storage_error<T>() * std::fabs(at(r));
    }
    const double n = double(d.rows), want = sum / n, span = high - low, largest_v = std::fmax(-low, high);
    for (i64 r = 0; r < d.rows; ++r) squares += (at(r) - want) * (at(r) - want);
    const double rounding = 2 * std::sqrt(n) * std::numeric_limits<float>::epsilon();
    const double mean_bound = bound / n + float_error(largest_v) + rounding * span,
                 var_bound = 2 * span * bound / n + bound * bound / n / n + rounding * span * span,
                 want_var = squares / n, want_scale = double(gamma[size_t(c)]) / std::sqrt(want_var + kEps);
    EXPECT_NEAR(mean[size_t(c)], want, mean_bound) << c;
    EXPECT_NEAR(var[size_t(c)], want_var, var_bound + float_error(want_var)) << c;
    EXPECT_NEAR(scale[size_t(c)], want_scale,
                want_scale * (0.5 * var_bound / (std::fmax(want_var - var_bound, 0) + kEps)) +
                    float_error(2 * want_scale))
        << c;
  }
}

// Running statistics, which were those of `before`, follow what the batch gave, the variance unbiased.
template <class T>
void check_running(i64 rows, float weight, const Norm<T>& before, const std::vector<float>& mean,
                   const std::vector<float>& var, const std::vector<float>& mean_now,
                   const std::vector<float>& var_now) {
  for (size_t i = 0; i < mean.size(); ++i) {
    const double unbiased = rows > 1 ? double(var[i]) * double(rows) / double(rows - 1) : double(var[i]);
    const double m = before.mean[i], v = before.var[i];
    EXPECT_NEAR(mean_now[i], m + weight * (double(mean[i]) - m),
                float_error(2 * (std::fabs(m) + std::fabs(mean[i]))));
    EXPECT_NEAR(var_now[i], v + weight * (unbiased - v), float_error(2 * (v + unbiased)));
  }
}

}  // namespace offramp::testing
