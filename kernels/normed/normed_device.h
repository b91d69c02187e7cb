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
__device__ __forceinline__ Floats<kLanes> load_some(const T* p, bool wide, int count) {
  return values(fetch(p, wide, count));
}
template <class T>
__device__ __forceinline__ void store_some(T* p, const Floats<kLanes>& x, bool whole, int count) {
  if (whole) return store<kLanes>(p, x);
#pragma unroll
  for (int i = 0; i < kLanes; ++i)
    if (i < count) p[i] = T(x.v[i]);
}

// Stores what it rounds, and returns that.
template <class T>
__device__ __forceinline__ Floats<kLanes> store_rounded(T* p, const Floats<kLanes>& x, bool whole,
                                                        int count) {
  const Eight<T> stored = as_stored<T>(x);
  const Floats<kLanes> rounded = values(stored);
  if (whole)
    store(p, stored);
  else
    store_some(p, rounded, false, count);
  return rounded;
}

// Parameters of eight channels of a normalised tensor. Where many channels pass by, a block keeps them in
// shared memory, [kFields][stride].
struct NormedChannels {
  static constexpr int kFields = 3;
  Floats<kLanes> mean, scale, beta;
};
// One channel's into column `at` of shared memory; zeros where there is no channel.
template <class T>
__device__ __forceinline__ void put_channel(const NormedT<T>& in, i64 c, bool valid, float* to, int stride,
                                            int at) {
  if (!in.mean) return;
  to[at] = valid ? in.mean[c] : 0.0f;
  to[stride + at] = valid ? in.scale[c] : 0.0f;
  to[2 * stride + at] = valid ? in.beta[c] : 0.0f;
}
template <class T>
__device__ __forceinline__ NormedChannels channels_of(const NormedT<T>& in, i64 c, int count) {
  if (!in.mean) return {};
  return {load_some(in.mean + c, false, count), load_some(in.scale + c, false, count),
          load_some(in.beta + c, false, count)};
}
// x := (x - mean) * scale + beta
__device__ __forceinline__ void normalise(const NormedChannels& p, Floats<kLanes>& x) {
#pragma unroll
  for (int i = 0; i < kLanes; ++i) x.v[i] = (x.v[i] - p.mean.v[i]) * p.scale.v[i] + p.beta.v[i];
}
// act((x - mean) * scale + beta); x itself where nothing is to be formed.
template <class T>
__device__ __forceinline__ Floats<kLanes> formed(const NormedT<T>& in, const NormedChannels& p,
                                                 Floats<kLanes> x) {
  if (!in.mean) return x;
  normalise(p, x);
  apply_act(in.act, x);
  return x;
}

// The same for the gradient of a raw result: (scale * dz - of_mean) - (y - mean) * of_var.
struct GradChannels {
  static constexpr int kFields = 4;
  Floats<kLanes> mean, scale, of_mean, of_var;
};
template <class T>
__device__ __forceinline__ void put_channel(const NormedGradT<T>& g, i64 c, bool valid, float* to, int stride,
                                            int at) {
  if (!g.y) return;
  to[at] = valid ? g.mean[c] : 0.0f;
  to[stride + at] = valid ? g.scale[c] : 0.0f;
  to[2 * stride + at] = valid ? g.of_mean[c] : 0.0f;
  to[3 * stride + at] = valid ? g.of_var[c] : 0.0f;
}
template <class T>
__device__ __forceinline__ GradChannels channels_of(const NormedGradT<T>& g, i64 c, int count) {
  if (!g.y) return {};
  return {load_some(g.mean + c, false, count), load_some(g.scale + c, false, count),
          load_some(g.of_mean + c, false, count), load_some(g.of_var + c, false, count)};
}
__device__ __forceinline__ Floats<kLanes> formed(const GradChannels& p, Floats<kLanes> dz,
                                                 const Floats<kLanes>& y) {
#pragma unroll
  for (int i = 0; i < kLanes; ++i)
    dz.v[i] = (p.scale.v[i] * dz.v[i] - p.of_mean.v[i]) - (y.v[i] - p.mean.v[i]) * p.of_var.v[i];
  return dz;
}

// The same with dz formed too, from the gradient behind the activation.
template <class T>
__device__ __forceinline__ void put_channel(const SlopedGradT<T>& g, i64 c, bool valid, float* to, int stride,
                                            int at) {
  put_channel(static_cast<const NormedGradT<T>&>(g), c, valid, to, stride, at);
  to[GradChannels::kFields * stride + at] = valid ? g.beta[c] : 0.0f;
}

// How many numbers of each channel put_channel puts.
template <class In>
inline constexpr int kParametersOf = 0;
template <class T>
inline constexpr int kParametersOf<NormedT<T>> = NormedChannels::kFields;
template <class T>
inline constexpr int kParametersOf<NormedGradT<T>> = GradChannels::kFields;
template <class T>
inline constexpr int kParametersOf<SlopedGradT<T>> = GradChannels::kFields + 1;

// Eight channels' parameters in shared memory, as put_channel puts them. They are read where they are used,
// four channels at a time: beside the sums of a product few registers are left.
struct SharedChannels {
  static constexpr int kHalf = kLanes / 2;
  const float* p;
  int stride;
  bool aligned = true;  // p is, as vectors are loaded

  __device__ __forceinline__ Floats<kHalf> half(int field, int first) const {
    const float* const at = p + field * stride + first;
    if (aligned) return load<kHalf>(at);
    return {{at[0], at[1], at[2], at[3]}};
  }
};
template <class T>
__device__ __forceinline__ Floats<kLanes> formed(const NormedT<T>& in, const SharedChannels& p,
                                                 Floats<kLanes> x) {
  if (!in.mean) return x;
  constexpr int kHalf = SharedChannels::kHalf;
#pragma unroll
  for (int first = 0; first < kLanes; first += kHalf) {
    const auto mean = p.half(0, first), scale = p.half(1, first), beta = p.half(2, first);
#pragma unroll
    for (int i = 0; i < kHalf; ++i) x.v[first + i] = (x.v[first + i] - mean.v[i]) * scale.v[i] + beta.v[i];
  }
  apply_act(in.act, x);
  return x;
}
template <class T>
__device__ __forceinline__ Floats<kLanes> formed(const NormedGradT<T>&, const SharedChannels& p,
                                                 Floats<kLanes> dz, const Floats<kLanes>& y) {
  constexpr int kHalf = SharedChannels::kHalf;
#pragma unroll
  for (int first = 0; first < kLanes; first += kHalf) {
    const auto mean = p.half(0, first), scale = p.half(1, first);
    const auto of_mean = p.half(2, first), of_var = p.half(3, first);
#pragma unroll
    for (int i = 0; i < kHalf; ++i)
      dz.v[first + i] =
          (scale.v[i] * dz.v[first + i] - of_mean.v[i]) - (y.v[first + i] - mean.v[i]) * of_var.v[i];
  }
  return dz;
}
template <class T>
__device__ __forceinline__ Floats<kLanes> formed(const SlopedGradT<T>& g, const SharedChannels& p,
                                                 Floats<kLanes> dz, const Floats<kLanes>& y) {
  constexpr int kHalf = SharedChannels::kHalf;
#pragma unroll
  for (int first = 0; first < kLanes; first += kHalf) {
    const auto mean = p.half(0, first), scale = p.half(1, first), beta = p.half(4, first);
    Floats<kHalf> d, z, v;
#pragma unroll
    for (int i = 0; i < kHalf; ++i) {
      d.v[i] = y.v[first + i] - mean.v[i];
      z.v[i] = d.v[i] * scale.v[i] + beta.v[i];
      v.v[i] = dz.v[first + i];
    }
    times_slope(g.act, z, v);
    const auto of_mean = p.half(2, first), of_var = p.half(3, first);
#pragma unroll
    for (int i = 0; i < kHalf; ++i)
      dz.v[first + i] = (scale.v[i] * v.v[i] - of_mean.v[i]) - d.v[i] * of_var.v[i];
  }
  return dz;
}

// Running count and sums of eight channels around a value that all threads of a block share.
struct Moments {
  Floats<kLanes> shift, sum, squares;
  float n = 0;

  __device__ __forceinline__ void begin(const Floats<kLanes>& around) {
    shift = around;
#pragma unroll
    for (int i = 0; i < kLanes; ++i) sum.v[i] = squares.v[i] = 0;
  }
  __device__ __forceinline__ void add(const Floats<kLanes>& v) {
    n += 1;
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      const float d = v.v[i] - shift.v[i];
      sum.v[i] += d;
      squares.v[i] = fmaf(d, d, squares.v[i]);
    }
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
