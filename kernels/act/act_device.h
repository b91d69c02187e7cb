// Activations inside device kernels: act_ref.h's functions in float, without divisions.
#pragma once
#include <type_traits>

#include "kernels/cuda/vector.h"

namespace offramp::cuda {

__device__ __forceinline__ float relu6(float x) { return fminf(fmaxf(x, 0.0f), 6.0f); }
// relu6(x + 3) / 6, clamped by the multiplication itself.
__device__ __forceinline__ float hard_sigmoid(float x) { return __saturatef((x + 3) * (1 / 6.0f)); }

__device__ __forceinline__ float apply_act(Act act, float x) {
  switch (act) {
    case Act::none:
      return x;
    case Act::relu:
      return fmaxf(x, 0.0f);
    case Act::relu6:
      return relu6(x);
    case Act::hard_swish:
      return x * hard_sigmoid(x);
    case Act::hard_sigmoid:
      return hard_sigmoid(x);
    case Act::sigmoid:
      return 1 / (1 + expf(-x));
  }
  return x;
}

__device__ __forceinline__ float act_slope(Act act, float x) {
  switch (act) {
    case Act::none:
      return 1;
    case Act::relu:
      return x > 0 ? 1.0f : 0.0f;
    case Act::relu6:
      return x > 0 && x < 6 ? 1.0f : 0.0f;
    case Act::hard_swish:
      return fabsf(x) < 3 ? fmaf(x, 2.0f, 3.0f) * (1 / 6.0f) : __saturatef(x);
    case Act::hard_sigmoid:
      return fabsf(x) < 3 ? 1 / 6.0f : 0.0f;
    case Act::sigmoid: {
      const float s = 1 / (1 + expf(-x));
      return s * (1 - s);
    }
  }
  return 1;
}

// Calls f(constant of the activation): one decision for many values.
template <class F>
__device__ __forceinline__ void with_act(Act act, F&& f) {
  switch (act) {
    case Act::none:
      return f(std::integral_constant<Act, Act::none>{});
    case Act::relu:
      return f(std::integral_constant<Act, Act::relu>{});
    case Act::relu6:
      return f(std::integral_constant<Act, Act::relu6>{});
    case Act::hard_swish:
      return f(std::integral_constant<Act, Act::hard_swish>{});
    case Act::hard_sigmoid:
      return f(std::integral_constant<Act, Act::hard_sigmoid>{});
    case Act::sigmoid:
      return f(std::integral_constant<Act, Act::sigmoid>{});
  }
}
template <int n>
__device__ __forceinline__ void apply_act(Act act, Floats<n>& x) {
  with_act(act, [&](auto a) {
#pragma unroll
    for (int i = 0; i < n; ++i) x.v[i] = apply_act(a(), x.v[i]);
  });
}
// v *= the activation's slope at x
template <int n>
__device__ __forceinline__ void times_slope(Act act, const Floats<n>& x, Floats<n>& v) {
  with_act(act, [&](auto a) {
#pragma unroll
    for (int i = 0; i < n; ++i) v.v[i] *= act_slope(a(), x.v[i]);
  });
}

}  // namespace offramp::cuda
