// Reference of the updates, a template on the scalar; for float also what the portable rows run. The vector
// rows do the same operations in the same order, so every target gives the same bits.
#pragma once
#include <cmath>

#include "kernels/update/update_call.h"

namespace offramp::kernels {

template <class T>
void sgd_reference(const SgdCallT<T>& call, i64 begin, i64 end) {
  for (i64 i = begin; i < end; ++i) {
    const T g = call.grad_scale * call.g[i] + call.weight_decay * call.p[i];
    const T v = call.momentum * call.v[i] + g;
    const T step = call.nesterov ? g + call.momentum * v : v;
    call.v[i] = v;
    call.p[i] = call.p[i] - call.lr * step;
  }
}

template <class T>
void adamw_reference(const AdamWCallT<T>& call, i64 begin, i64 end) {
  using std::sqrt;
  const T keep = T(1) - call.lr * call.weight_decay;
  const T fresh1 = T(1) - call.beta1, fresh2 = T(1) - call.beta2;
  for (i64 i = begin; i < end; ++i) {
    const T g = call.grad_scale * call.g[i];
    const T m = call.beta1 * call.m[i] + fresh1 * g;
    const T v = call.beta2 * call.v[i] + fresh2 * (g * g);
    call.m[i] = m;
    call.v[i] = v;
    call.p[i] = keep * call.p[i] - call.lr * (m / call.bias1) / (sqrt(v / call.bias2) + call.eps);
  }
}

template <class T>
void ema_reference(const EmaCallT<T>& call, i64 begin, i64 end) {
  const T fresh = T(1) - call.decay;
  for (i64 i = begin; i < end; ++i) call.average[i] = call.decay * call.average[i] + fresh * call.p[i];
}

// Sixteen interleaved partial sums in double, added in the order of a halving tree: the order every row
// follows.
template <class T>
double sum_squares_reference(i64 count, const T* x) {
  constexpr i64 kLanes = 16;
  double lane[kLanes] = {};
  for (i64 i = 0; i < count; ++i) lane[i % kLanes] += double(x[i]) * double(x[i]);
  for (i64 half = kLanes / 2; half > 0; half /= 2)
    for (i64 i = 0; i < half; ++i) lane[i] += lane[i + half];
  return lane[0];
}

}  // namespace offramp::kernels
