// Plain loops, every activation. The order of operations is that of the vector rows: all targets give the
// same bits.
#include "kernels/act/act_ref.h"
#include "kernels/norm/norm_rows.h"

namespace offramp::kernels {
namespace {

struct TwoSums {
  float first = 0, second = 0;
};

// first += term(row).first, second likewise, over rows [begin,end) in the order stated in norm_rows.h.
template <class Term>
TwoSums sum_rows(i64 begin, i64 end, Term&& term) {
  TwoSums sum;
  i64 row = begin;
  for (; row + 4 <= end; row += 4) {
    const TwoSums a = term(row), b = term(row + 1), c = term(row + 2), d = term(row + 3);
    sum.first += (a.first + b.first) + (c.first + d.first);
    sum.second += (a.second + b.second) + (c.second + d.second);
  }
  for (; row < end; ++row) {
    const TwoSums a = term(row);
    sum.first += a.first;
    sum.second += a.second;
  }
  return sum;
}

}  // namespace

void norm_apply_portable(const NormApply& w, i64 begin, i64 end) {
  for (i64 row = begin; row < end; ++row) {
    const float* x = w.x + row * w.c;
    float* y = w.y + row * w.c;
    for (i64 ch = 0; ch < w.c; ++ch)
      y[ch] = apply_act(w.act, (x[ch] - w.mean[ch]) * w.scale[ch] + w.beta[ch]);
  }
}

void norm_statistics_portable(const NormStatistics& w, i64 begin, i64 end) {
  for (i64 ch = 0; ch < w.c; ++ch) {
    const float shift = w.x[begin * w.c + ch];
    const TwoSums sum = sum_rows(begin, end, [&](i64 row) {
      const float d = w.x[row * w.c + ch] - shift;
      return TwoSums{d, d * d};
    });
    w.sum[ch] = sum.first;
    w.squares[ch] = sum.second;
  }
}

void norm_sums_portable(const NormBackward& w, i64 begin, i64 end) {
  for (i64 ch = 0; ch < w.c; ++ch) {
    const TwoSums sum = sum_rows(begin, end, [&](i64 row) {
      const float d = w.x[row * w.c + ch] - w.mean[ch];
      const float dz = w.gy[row * w.c + ch] * act_slope(w.act, d * w.scale[ch] + w.beta[ch]);
      return TwoSums{dz, dz * d};
    });
    w.sum[ch] = sum.first;
    w.sum_with_d[ch] = sum.second;
  }
}

void norm_gx_portable(const NormBackward& w, i64 begin, i64 end) {
  for (i64 row = begin; row < end; ++row)
    for (i64 ch = 0; ch < w.c; ++ch) {
      const i64 i = row * w.c + ch;
      const float d = w.x[i] - w.mean[ch];
      const float direct = w.scale[ch] * (w.gy[i] * act_slope(w.act, d * w.scale[ch] + w.beta[ch]));
      w.gx[i] = w.of_var ? (direct - w.of_mean[ch]) - d * w.of_var[ch] : direct;
    }
}

}  // namespace offramp::kernels
