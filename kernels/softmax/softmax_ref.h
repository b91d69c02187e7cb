// Reference of softmax and the losses, a template on the scalar. Rows are short and independent, so this is
// also what the portable row runs, over a range of rows.
#pragma once
#include <cmath>

#include "kernels/softmax/softmax_call.h"

namespace offramp::kernels {

template <class T>
T row_max(const T* x, i64 count) {
  T most = x[0];
  for (i64 j = 1; j < count; ++j) most = x[j] > most ? x[j] : most;
  return most;
}

template <class T>
void softmax_reference(const SoftmaxCallT<T>& call, i64 begin, i64 end) {
  using std::exp, std::log;
  const i64 classes = call.dims.classes;
  for (i64 row = begin; row < end; ++row) {
    const T* x = call.x + row * classes;
    T* y = call.y + row * classes;
    const T most = row_max(x, classes);
    T sum = T(0);
    if (call.dims.log) {
      for (i64 j = 0; j < classes; ++j) sum += exp(x[j] - most);
      const T log_sum = log(sum);
      for (i64 j = 0; j < classes; ++j) y[j] = (x[j] - most) - log_sum;
    } else {
      for (i64 j = 0; j < classes; ++j) sum += y[j] = exp(x[j] - most);
      for (i64 j = 0; j < classes; ++j) y[j] = y[j] / sum;
    }
  }
}

// softmax: gx = y * (gy - sum(gy * y)).   log_softmax: gx = gy - exp(y) * sum(gy).
template <class T>
void softmax_grad_reference(const SoftmaxGradCallT<T>& call, i64 begin, i64 end) {
  using std::exp;
  const i64 classes = call.dims.classes;
  for (i64 row = begin; row < end; ++row) {
    const T *y = call.y + row * classes, *gy = call.gy + row * classes;
    T* gx = call.gx + row * classes;
    T sum = T(0);
    for (i64 j = 0; j < classes; ++j) sum += call.dims.log ? gy[j] : gy[j] * y[j];
    for (i64 j = 0; j < classes; ++j) gx[j] = call.dims.log ? gy[j] - exp(y[j]) * sum : y[j] * (gy[j] - sum);
  }
}

// Losses of rows [begin, end) into row_loss (when not null) and gradients into gx (when wanted).
template <class T>
void cross_entropy_reference(const CrossEntropyCallT<T>& call, i64 begin, i64 end, double* row_loss) {
  const i64 classes = call.classes;
  const T spread = call.label_smoothing / T(classes), certain = T(1) - call.label_smoothing;
  const T scale = call.upstream / T(call.rows);
  for (i64 row = begin; row < end; ++row) {
    const T* x = call.x + row * classes;
    T* gx = call.gx ? call.gx + row * classes : nullptr;
    const i64 target = call.target[row];
    const T most = row_max(x, classes);
    const T of_target = x[target] - most;
    T sum = T(0), sum_shifted = T(0);
    for (i64 j = 0; j < classes; ++j) {
      const T shifted = x[j] - most, e = std::exp(shifted);
      sum += e;
      sum_shifted += shifted;
      if (gx) gx[j] = e;
    }
    if (row_loss)
      row_loss[row] = double(std::log(sum)) - double(certain * of_target) - double(spread * sum_shifted);
    if (!gx) continue;
    const T over_sum = T(1) / sum;
    for (i64 j = 0; j < classes; ++j)
      gx[j] = scale * (gx[j] * over_sum - (j == target ? certain + spread : spread));
  }
}

// scratch: `classes` values of this thread's own.
template <class T>
void kl_div_reference(const KlDivCallT<T>& call, i64 begin, i64 end, double* row_loss, T* scratch) {
  const i64 classes = call.classes;
  const T cooler = T(1) / call.temperature;
  const T scale = call.upstream * call.temperature / T(call.rows);
  for (i64 row = begin; row < end; ++row) {
    const T *x = call.x + row * classes, *t = call.teacher + row * classes;
    T* gx = call.gx ? call.gx + row * classes : nullptr;
    const T x_most = row_max(x, classes), t_most = row_max(t, classes);
    T x_sum = T(0), t_sum = T(0), gap = T(0);  // gap = sum_j exp(t_j) * (t_j - x_j), shifted
    for (i64 j = 0; j < classes; ++j) {
      const T xs = (x[j] - x_most) * cooler, ts = (t[j] - t_most) * cooler;
      const T xe = std::exp(xs), te = std::exp(ts);
      x_sum += xe;
      t_sum += te;
      gap += te * (ts - xs);
      scratch[j] = te;
      if (gx) gx[j] = xe;
    }
    if (row_loss) {
      const double kl = double(gap) / double(t_sum) - std::log(double(t_sum)) + std::log(double(x_sum));
      row_loss[row] = double(call.temperature) * double(call.temperature) * kl;
    }
    if (!gx) continue;
    const T over_x = T(1) / x_sum, over_t = T(1) / t_sum;
    for (i64 j = 0; j < classes; ++j) gx[j] = scale * (gx[j] * over_x - scratch[j] * over_t);
  }
}

}  // namespace offramp::kernels
