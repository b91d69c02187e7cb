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

// The Q that begins at p, which is aligned to it: anything else is an error on a card, and in the emulation.
template <class Q, class T>
__device__ __forceinline__ const Q& whole(const T* p) {
  check_aligned(p, int(sizeof(Q)));
  return *reinterpret_cast<const Q*>(p);
}
template <class Q, class T>
__device__ __forceinline__ Q& whole(T* p) {
  check_aligned(p, int(sizeof(Q)));
  return *reinterpret_cast<Q*>(p);
}

__device__ __forceinline__ float to_float(float v) { return v; }
__device__ __forceinline__ float to_float(Bf16 v) { return float(v); }

// p is aligned to n elements (n * sizeof(T) <= 16 bytes, or a multiple of 16).
template <int n>
__device__ __forceinline__ Floats<n> load(const float* p) {
  Floats<n> out;
  if constexpr (n % 4 == 0) {
#pragma unroll
    for (int i = 0; i < n; i += 4) {
      const float4 q = whole<float4>(p + i);
      out.v[i] = q.x, out.v[i + 1] = q.y, out.v[i + 2] = q.z, out.v[i + 3] = q.w;
    }
  } else if constexpr (n == 2) {
    const float2 q = whole<float2>(p);
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
      const uint4 q = whole<uint4>(p + i);
      two(i, q.x), two(i + 2, q.y), two(i + 4, q.z), two(i + 6, q.w);
    }
  } else if constexpr (n == 4) {
    const uint2 q = whole<uint2>(p);
    two(0, q.x), two(2, q.y);
  } else if constexpr (n == 2) {
    two(0, whole<unsigned>(p));
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
      whole<float4>(p + i) = make_float4(x.v[i], x.v[i + 1], x.v[i + 2], x.v[i + 3]);
  } else if constexpr (n == 2) {
    whole<float2>(p) = make_float2(x.v[0], x.v[1]);
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
      whole<uint4>(p + i) = make_uint4(pack_bf16(x.v[i], x.v[i + 1]), pack_bf16(x.v[i + 2], x.v[i + 3]),
                                       pack_bf16(x.v[i + 4], x.v[i + 5]), pack_bf16(x.v[i + 6], x.v[i + 7]));
  } else if constexpr (n == 4) {
    whole<uint2>(p) = make_uint2(pack_bf16(x.v[0], x.v[1]), pack_bf16(x.v[2], x.v[3]));
  } else if constexpr (n == 2) {
    whole<unsigned>(p) = pack_bf16(x.v[0], x.v[1]);
  } else {
    static_assert(n == 1);
    *p = Bf16(x.v[0]);
  }
}

// Eight neighbouring values as they lie in memory: what a thread holds while loads are under way. Nothing is
// computed with them before values(), or each load would be waited for before the next is issued.
template <class T>
struct Eight;
template <>
struct Eight<float> {
  float4 low, high;
};
template <>
struct Eight<Bf16> {
  uint4 pairs;
};
// From values that do not lie side by side.
__device__ __forceinline__ Eight<float> packed(const float (&v)[8]) {
  return {make_float4(v[0], v[1], v[2], v[3]), make_float4(v[4], v[5], v[6], v[7])};
}
__device__ __forceinline__ Eight<Bf16> packed(const Bf16 (&v)[8]) {
  const auto two = [&](int i) { return u32(v[i].bits) | u32(v[i + 1].bits) << 16; };
  return {make_uint4(two(0), two(2), two(4), two(6))};
}
// The first `count` values at p, zeros behind them; wide: p is aligned and count is 0 or 8.
__device__ __forceinline__ Eight<float> fetch(const float* p, bool wide, int count) {
  Eight<float> out = {make_float4(0, 0, 0, 0), make_float4(0, 0, 0, 0)};
  if (wide) {
    if (count > 0) {
      out.low = whole<float4>(p);
      out.high = whole<float4>(p + 4);
    }
    return out;
  }
  float apart[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) apart[i] = i < count ? p[i] : 0.0f;
  return packed(apart);
}
__device__ __forceinline__ Eight<Bf16> fetch(const Bf16* p, bool wide, int count) {
  Eight<Bf16> out = {make_uint4(0, 0, 0, 0)};
  if (wide) {
    if (count > 0) out.pairs = whole<uint4>(p);
    return out;
  }
  Bf16 apart[8];
#pragma unroll
  for (int i = 0; i < 8; ++i) apart[i].bits = i < count ? p[i].bits : uint16_t(0);
  return packed(apart);
}
__device__ __forceinline__ Floats<8> values(const Eight<float>& e) {
  return {{e.low.x, e.low.y, e.low.z, e.low.w, e.high.x, e.high.y, e.high.z, e.high.w}};
}
__device__ __forceinline__ Floats<8> values(const Eight<Bf16>& e) {
  const auto low = [](u32 pair) { return __uint_as_float(pair << 16); };
  const auto high = [](u32 pair) { return __uint_as_float(pair & 0xffff0000u); };
  return {{low(e.pairs.x), high(e.pairs.x), low(e.pairs.y), high(e.pairs.y), low(e.pairs.z), high(e.pairs.z),
           low(e.pairs.w), high(e.pairs.w)}};
}

// Eight values as they are stored, rounded where T is narrower.
template <class T>
__device__ __forceinline__ Eight<T> as_stored(const Floats<8>& x) {
  if constexpr (std::is_same_v<T, float>)
    return packed(x.v);
  else
    return {make_uint4(pack_bf16(x.v[0], x.v[1]), pack_bf16(x.v[2], x.v[3]), pack_bf16(x.v[4], x.v[5]),
                       pack_bf16(x.v[6], x.v[7]))};
}
__device__ __forceinline__ void store(float* p, const Eight<float>& e) {
  whole<float4>(p) = e.low;
  whole<float4>(p + 4) = e.high;
}
__device__ __forceinline__ void store(Bf16* p, const Eight<Bf16>& e) { whole<uint4>(p) = e.pairs; }

// Whether every row of `c` elements of an array that starts at p can be read n elements at a time.
template <class T>
bool aligned_for(const T* p, i64 c, int n) {
  return c % n == 0 && reinterpret_cast<uintptr_t>(p) % (size_t(n) * sizeof(T)) == 0;
}

}  // namespace offramp::cuda
