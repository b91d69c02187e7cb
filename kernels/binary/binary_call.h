// Plain structs of element-wise add and mul, z of the same shape as x or one value per (sample, channel).
#pragma once
#include "kernels/types.h"

namespace offramp::kernels {

enum class BinaryKind : u8 { add, mul };

struct BinaryDims {
  i64 n, hw, c;    // x [n,hw,c]
  BinaryKind kind;
  bool broadcast;  // z is [n,1,c] instead of [n,hw,c]
  friend constexpr bool operator==(const BinaryDims&, const BinaryDims&) = default;
};

template <class T>
struct BinaryCallT {
  BinaryDims dims;
  const T *x, *z;
  T* y;  // [n,hw,c]; may be x
};
using BinaryCall = BinaryCallT<float>;

// Wanted outputs are non-null and overwritten; gz of a broadcast z is summed over hw.
template <class T>
struct BinaryGradCallT {
  BinaryDims dims;
  const T *x, *z;  // read for mul only
  const T* gy;
  T* gx = nullptr;
  T* gz = nullptr;
};
using BinaryGradCall = BinaryGradCallT<float>;

}  // namespace offramp::kernels
