// Reference of batch normalisation, a template on the scalar: two passes for the statistics, as the
// definition reads.
#pragma once
#include <cmath>

#include "kernels/act/act_ref.h"
#include "kernels/norm/norm_call.h"

namespace offramp::kernels {

template <class T>
void norm_reference(const NormCallT<T>& call) {
  using std::sqrt;
  const auto [rows, c] = call.dims;
  for (i64 ch = 0; ch < c; ++ch) {
    const T scale = call.gamma[ch] / sqrt(call.var[ch] + call.eps);
    for (i64 i = ch; i < rows * c; i += c)
      call.y[i] = apply_act(call.act, (call.x[i] - call.mean[ch]) * scale + call.beta[ch]);
  }
}

template <class T>
void norm_train_reference(const NormTrainCallT<T>& call) {
  const auto [rows, c] = call.dims;
  for (i64 ch = 0; ch < c; ++ch) {
    T sum = T(0), squares = T(0);
    for (i64 i = ch; i < rows * c; i += c) sum += call.x[i];
    const T mean = sum / T(double(rows));
    for (i64 i = ch; i < rows * c; i += c) {
      const T deviation = call.x[i] - mean;
      squares += deviation * deviation;
    }
    call.mean[ch] = mean;
    call.var[ch] = squares / T(double(rows));
  }
  norm_reference(NormCallT<T>{.dims = call.dims,
                              .x = call.x,
                              .mean = call.mean,
                              .var = call.var,
                              .gamma = call.gamma,
                              .beta = call.beta,
                              .eps = call.eps,
                              .act = call.act,
                              .y = call.y});
}

// With d = x - mean, s = gamma/sqrt(var+eps), dz = gy * act'(d*s + beta), both sums over rows:
//   gbeta = sum dz      ggamma = sum dz*d / sqrt(var+eps)
//   gx = s*dz                                                          (constant statistics)
//   gx = s*(dz - gbeta/rows - d/sqrt(var+eps) * ggamma/rows)           (statistics of the batch)
template <class T>
void norm_grad_reference(const NormGradCallT<T>& call) {
  using std::sqrt;
  const auto [rows, c] = call.dims;
  for (i64 ch = 0; ch < c; ++ch) {
    const T deviation = sqrt(call.var[ch] + call.eps), inverse = T(1) / deviation;
    const T scale = call.gamma[ch] / deviation;
    const auto dz = [&](i64 i) {
      return call.gy[i] * act_slope(call.act, (call.x[i] - call.mean[ch]) * scale + call.beta[ch]);
    };
    T sum = T(0), sum_with_d = T(0);
    for (i64 i = ch; i < rows * c; i += c) {
      const T z = dz(i);
      sum += z;
      sum_with_d += z * (call.x[i] - call.mean[ch]);
    }
    const T ggamma = sum_with_d * inverse;
    if (call.gbeta) call.gbeta[ch] = sum;
    if (call.ggamma) call.ggamma[ch] = ggamma;
    if (!call.gx) continue;
    const T of_mean = scale * (sum / T(double(rows))),
            of_var = scale * (inverse * (ggamma / T(double(rows))));
    for (i64 i = ch; i < rows * c; i += c) {
      const T direct = scale * dz(i);
      call.gx[i] = call.batch_statistics ? direct - of_mean - (call.x[i] - call.mean[ch]) * of_var : direct;
    }
  }
}

}  // namespace offramp::kernels
