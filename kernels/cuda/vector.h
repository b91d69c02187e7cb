// Several neighbouring elements of an array in one access, computed with as floats.
#pragma once
#include "kernels/cuda/language.h"

namespace offramp::cuda {

// n values in registers.
template <int n>
struct Floats {
  float v[n];
};

// The widest access of a thread: 16 bytes.
template <class T>
inline constexpr int kWide = 16 / int(sizeof(T));

__device__ __forceinline__ float to_float(float v) { return v; }
__device__ __forceinline__ float to_float(Bf16 v) { return float(v); }

// p is aligned to n elements (n * sizeof(T) <= 16 bytes, or a multiple of 16).
template <int n>
__device__ __forceinline__ Floats<n> load(const float* p) {
  Floats<n> out;
  if constexpr (n % 4 == 0) {
#pragma unroll
    for (int i = 0; i < n; i += 4) {
      const float4 q = *reinterpret_cast<const float4*>(p + i);
      out.v[i] = q.x, out.v[i + 1] = q.y, out.v[i + 2] = q.z, out.v[i + 3] = q.w;
    }
  } else if constexpr (n == 2) {
    const float2 q = *reinterpret_cast<const float2*>(p);
    out.v[0] = q.x, out.v[1] = q.y;
  } else {
    static_assert(n == 1);
    out.v[0] = *p;
  }
  return out;
}
template <int n>
__device__ __forceinline__ Floats<n> load(const Bf16* p) {
  Floats<n> out;
  const auto two = [&](int i, unsigned pair) {
    out.v[i] = __uint_as_float(pair << 16);
    out.v[i + 1] = __uint_as_float(pair & 0xffff0000u);
  };
  if constexpr (n % 8 == 0) {
#pragma unroll
    for (int i = 0; i < n; i += 8) {
      const uint4 q = *reinterpret_cast<const uint4*>(p + i);
      two(i, q.x), two(i + 2, q.y), two(i + 4, q.z), two(i + 6, q.w);
    }
  } else if constexpr (n == 4) {
    const uint2 q = *reinterpret_cast<const uint2*>(p);
    two(0, q.x), two(2, q.y);
  } else if constexpr (n == 2) {
    two(0, *reinterpret_cast<const unsigned*>(p));
  } else {
    static_assert(n == 1);
    out.v[0] = float(*p);
  }
  return out;
}

template <int n>
__device__ __forceinline__ void store(float* p, const Floats<n>& x) {
  if constexpr (n % 4 == 0) {
#pragma unroll
    for (int i = 0; i < n; i += 4)
      *reinterpret_cast<float4*>(p + i) = make_float4(x.v[i], x.v[i + 1], x.v[i + 2], x.v[i + 3]);
  } else if constexpr (n == 2) {
    *reinterpret_cast<float2*>(p) = make_float2(x.v[0], x.v[1]);
  } else {
    static_assert(n == 1);
    *p = x.v[0];
  }
}
template <int n>
__device__ __forceinline__ void store(Bf16* p, const Floats<n>& x) {
  if constexpr (n % 8 == 0) {
#pragma unroll
    for (int i = 0; i < n; i += 8)
      *reinterpret_cast<uint4*>(p + i) =
          make_uint4(pack_bf16(x.v[i], x.v[i + 1]), pack_bf16(x.v[i + 2], x.v[i + 3]),
                     pack_bf16(x.v[i + 4], x.v[i + 5]), pack_bf16(x.v[i + 6], x.v[i + 7]));
  } else if constexpr (n == 4) {
    *reinterpret_cast<uint2*>(p) = make_uint2(pack_bf16(x.v[0], x.v[1]), pack_bf16(x.v[2], x.v[3]));
  } else if constexpr (n == 2) {
    *reinterpret_cast<unsigned*>(p) = pack_bf16(x.v[0], x.v[1]);
  } else {
    static_assert(n == 1);
    *p = Bf16(x.v[0]);
  }
}

// Whether every row of `c` elements of an array that starts at p can be read n elements at a time.
template <class T>
bool aligned_for(const T* p, i64 c, int n) {
  return c % n == 0 && reinterpret_cast<uintptr_t>(p) % (size_t(n) * sizeof(T)) == 0;
}

}  // namespace offramp::cuda
