// The upper half of a float: what activations are stored as on a device in mixed precision. Arithmetic is
// done in float; the host only converts.
#pragma once
#include <bit>
#include <type_traits>

#include "kernels/types.h"

// Usable from device code too; nvcc alone knows these words.
#if defined(__CUDACC__)
#define OFFRAMP_HOST_DEVICE __host__ __device__
#else
#define OFFRAMP_HOST_DEVICE
#endif

namespace offramp {

struct Bf16 {
  uint16_t bits;
  Bf16() = default;
  // Rounds to nearest, ties to even; NaN stays NaN.
  OFFRAMP_HOST_DEVICE explicit Bf16(float v) {
#if defined(__CUDA_ARCH__)
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(v));
#else
    const u32 b = std::bit_cast<u32>(v);
    bits = (b & 0x7fffffff) > 0x7f800000 ? uint16_t(b >> 16 | 0x40)
                                         : uint16_t((b + 0x7fff + (b >> 16 & 1)) >> 16);
#endif
  }
  OFFRAMP_HOST_DEVICE explicit operator float() const {
#if defined(__CUDA_ARCH__)
    return __uint_as_float(u32(bits) << 16);
#else
    return std::bit_cast<float>(u32(bits) << 16);
#endif
  }
};

// The element type of parameters, statistics and their gradients beside activations of type T.
template <class T>
using ParamOf = std::conditional_t<std::is_same_v<T, Bf16>, float, T>;

}  // namespace offramp
