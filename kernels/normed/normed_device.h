// Reading and finishing what stands between two normalisations (normed_call.h), inside device kernels.
#pragma once
#include "kernels/act/act_device.h"
#include "kernels/cuda/reduce.h"
#include "kernels/cuda/vector.h"
#include "kernels/normed/normed_call.h"

namespace offramp::kernels::cuda {

using namespace offramp::cuda;

// Eight neighbouring channels at a time; `count` of them exist.
constexpr int kLanes = 8;

template <class T>
__device__ __forceinline__ Floats<kLanes> load_some(const T* p, bool whole, int count) {
  if (whole) return load<kLanes>(p);
  Floats<kLanes> out;
#pragma unroll
  for (int i = 0; i < kLanes; ++i) out.v[i] = i < count ? to_float(p[i]) : 0.0f;
  return out;
}
template <class T>
__device__ __forceinline__ void store_some(T* p, const Floats<kLanes>& x, bool whole, int count) {
  if (whole) return store<kLanes>(p, x);
#pragma unroll
  for (int i = 0; i < kLanes; ++i)
    if (i < count) p[i] = T(x.v[i]);
}

// Parameters of eight channels of a normalised tensor.
struct NormedChannels {
  Floats<kLanes> mean, scale, beta;
};
template <class T>
__device__ __forceinline__ NormedChannels channels_of(const NormedT<T>& in, i64 c, int count) {
  NormedChannels out = {};
  if (!in.mean) return out;
#pragma unroll
  for (int i = 0; i < kLanes; ++i) {
    const bool valid = i < count;
    out.mean.v[i] = valid ? in.mean[c + i] : 0.0f;
    out.scale.v[i] = valid ? in.scale[c + i] : 0.0f;
    out.beta.v[i] = valid ? in.beta[c + i] : 0.0f;
  }
  return out;
}
// act((x - mean) * scale + beta); x itself where nothing is to be formed.
template <class T>
__device__ __forceinline__ Floats<kLanes> formed(const NormedT<T>& in, const NormedChannels& p,
                                                 Floats<kLanes> x) {
  if (!in.mean) return x;
#pragma unroll
  for (int i = 0; i < kLanes; ++i)
    x.v[i] = apply_act(in.act, (x.v[i] - p.mean.v[i]) * p.scale.v[i] + p.beta.v[i]);
  return x;
}

// The same for the gradient of a raw result: (scale * dz - of_mean) - (y - mean) * of_var.
struct GradChannels {
  Floats<kLanes> mean, scale, of_mean, of_var;
};
template <class T>
__device__ __forceinline__ GradChannels channels_of(const NormedGradT<T>& g, i64 c, int count) {
  GradChannels out = {};
  if (!g.y) return out;
#pragma unroll
  for (int i = 0; i < kLanes; ++i) {
    const bool valid = i < count;
    out.mean.v[i] = valid ? g.mean[c + i] : 0.0f;
    out.scale.v[i] = valid ? g.scale[c + i] : 0.0f;
    out.of_mean.v[i] = valid ? g.of_mean[c + i] : 0.0f;
    out.of_var.v[i] = valid ? g.of_var[c + i] : 0.0f;
  }
  return out;
}
__device__ __forceinline__ Floats<kLanes> formed(const GradChannels& p, Floats<kLanes> dz,
                                                 const Floats<kLanes>& y) {
#pragma unroll
  for (int i = 0; i < kLanes; ++i)
    dz.v[i] = (p.scale.v[i] * dz.v[i] - p.of_mean.v[i]) - (y.v[i] - p.mean.v[i]) * p.of_var.v[i];
  return dz;
}

// Running count, mean and squared deviations of eight channels, around the first value seen.
struct Moments {
  Floats<kLanes> shift, sum, squares;
  float n = 0;

  __device__ __forceinline__ void add(const Floats<kLanes>& v) {
    if (n == 0) {
      shift = v;
#pragma unroll
      for (int i = 0; i < kLanes; ++i) sum.v[i] = squares.v[i] = 0;
    }
    n += 1;
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      const float d = v.v[i] - shift.v[i];
      sum.v[i] += d;
      squares.v[i] = fmaf(d, d, squares.v[i]);
    }
  }
  __device__ __forceinline__ float mean(int i) const { return n == 0 ? 0.0f : shift.v[i] + sum.v[i] / n; }
  __device__ __forceinline__ float m2(int i) const {
    return n == 0 ? 0.0f : fmaxf(squares.v[i] - sum.v[i] * (sum.v[i] / n), 0.0f);
  }
};

// Mean, biased variance and scale of the channels [first, first + count) from [3][stride] combined moments.
__device__ inline void finish_moments(const NormOut& out, const float* total, i64 stride, i64 first,
                                      i64 count) {
  for (i64 i = threadIdx.x; i < count; i += blockDim.x) {
    const i64 c = first + i;
    const float n = total[i], mean = total[stride + i], m2 = total[2 * stride + i], var = m2 / n;
    out.mean[c] = mean;
    out.var[c] = var;
    if (out.scale) out.scale[c] = out.gamma[c] / sqrtf(var + out.eps);
    const RunningT<float>& r = out.running;
    if (!r.mean) continue;
    const float unbiased = n > 1 ? m2 / (n - 1) : m2;
    r.mean[c] = r.weight == 1 ? mean : r.mean[c] + r.weight * (mean - r.mean[c]);
    r.var[c] = r.weight == 1 ? unbiased : r.var[c] + r.weight * (unbiased - r.var[c]);
  }
}

// What the gradient of a normalisation leaves, from the sums [2][stride] of dz and dz * (x - mean).
__device__ inline void finish_sums(const NormGradOut& out, const float* scale, const float* total, i64 stride,
                                   i64 first, i64 count, i64 rows) {
  for (i64 i = threadIdx.x; i < count; i += blockDim.x) {
    const i64 c = first + i;
    const double deviation = sqrt(double(out.var[c]) + double(out.eps));
    const double gbeta = double(total[i]), ggamma = double(total[stride + i]) / deviation;
    out.gbeta[c] = float(gbeta);
    out.ggamma[c] = float(ggamma);
    out.of_mean[c] = float(double(scale[c]) * gbeta / double(rows));
    out.of_var[c] = float(double(scale[c]) * ggamma / (deviation * double(rows)));
  }
}

}  // namespace offramp::kernels::cuda
