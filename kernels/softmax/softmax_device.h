// Softmax and the losses built on it for one row, by a warp: lanes take classes 32 apart.
#pragma once
#include "kernels/cuda/vector.h"
#include "kernels/cuda/warp.h"

namespace offramp::kernels::cuda {

using namespace offramp::cuda;

// softmax(x * cooler) of a row: its maximum (after cooling) and the sum of exponentials of what is left.
struct RowSoftmax {
  float most, sum;
};
template <class T>
__device__ __forceinline__ RowSoftmax row_softmax(const T* x, i64 classes, float cooler, int lane) {
  float most = -INFINITY;
  for (i64 j = lane; j < classes; j += 32) most = fmaxf(most, to_float(x[j]) * cooler);
  most = warp_max(most);
  float sum = 0;
  for (i64 j = lane; j < classes; j += 32) sum += expf(to_float(x[j]) * cooler - most);
  return {most, warp_sum(sum)};
}

// Loss of a row against its label; adds weight * gradient (per row) through add(class, value).
template <class T, class Add>
__device__ __forceinline__ float row_cross_entropy(const T* x, i64 classes, i64 target, float smoothing,
                                                   int lane, Add&& add) {
  const RowSoftmax s = row_softmax(x, classes, 1.0f, lane);
  const float spread = smoothing / float(classes), certain = 1 - smoothing, over_sum = 1 / s.sum;
  float of_target = 0, shifted_sum = 0;
  for (i64 j = lane; j < classes; j += 32) {
    const float shifted = to_float(x[j]) - s.most;
    shifted_sum += shifted;
    if (j == target) of_target = shifted;
    add(j, expf(shifted) * over_sum - (j == target ? certain + spread : spread));
  }
  return logf(s.sum) - certain * warp_sum(of_target) - spread * warp_sum(shifted_sum);
}

// temperature^2 KL(softmax(teacher / temperature) || softmax(x / temperature)) of a row.
template <class T, class Add>
__device__ __forceinline__ float row_kl_div(const T* x, const T* teacher, i64 classes, float temperature,
                                            int lane, Add&& add) {
  const float cooler = 1 / temperature;
  const RowSoftmax sx = row_softmax(x, classes, cooler, lane),
                   st = row_softmax(teacher, classes, cooler, lane);
  const float over_x = 1 / sx.sum, over_t = 1 / st.sum;
  float gap = 0;
  for (i64 j = lane; j < classes; j += 32) {
    const float xs = to_float(x[j]) * cooler - sx.most, ts = to_float(teacher[j]) * cooler - st.most,
                te = expf(ts) * over_t;
    gap += te * (ts - xs);
    add(j, temperature * (expf(xs) * over_x - te));
  }
  return temperature * temperature * (warp_sum(gap) - logf(st.sum) + logf(sx.sum));
}

}  // namespace offramp::kernels::cuda
