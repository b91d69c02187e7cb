// Plain structs of element-wise activations.
#pragma once
#include "kernels/types.h"

namespace offramp::kernels {

struct ActDims {
  i64 count;
  Act act;
  friend constexpr bool operator==(const ActDims&, const ActDims&) = default;
};

template <class T>
struct ActCallT {
  ActDims dims;
  const T* x;
  T* y;  // may be x
};
using ActCall = ActCallT<float>;

// gx = gy * act'(x). At a kink (0, 6, -3, 3) the derivative is that of the constant side.
template <class T>
struct ActGradCallT {
  ActDims dims;
  const T *x, *gy;
  T* gx;  // may be gy
};
using ActGradCall = ActGradCallT<float>;

}  // namespace offramp::kernels
