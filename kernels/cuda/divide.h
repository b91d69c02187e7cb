// Division by numbers that a launch fixes: a multiplication and a shift instead of some thirty instructions.
// Source: Granlund & Montgomery 1994.
#pragma once
#include "kernels/cuda/language.h"

namespace offramp::cuda {

// quotient and remainder of 0 <= x < 2^31 by 1 <= d < 2^31
class Divisor {
 public:
  Divisor() = default;
  explicit Divisor(i64 d) : d_(u32(d)) {
    while ((u64{1} << shift_) < d_) ++shift_;
    factor_ = u32(((u64{1} << 32) * ((u64{1} << shift_) - d_)) / d_ + 1);
  }
  __device__ __forceinline__ int quotient(int x) const {
    return int((__umulhi(u32(x), factor_) + u32(x)) >> shift_);
  }
  // x := x / d; the remainder is returned
  __device__ __forceinline__ int split(int& x) const {
    const int q = quotient(x), rest = x - q * int(d_);
    x = q;
    return rest;
  }
  __host__ __device__ int value() const { return int(d_); }

 private:
  u32 d_ = 1, factor_ = 1, shift_ = 0;
};

}  // namespace offramp::cuda
