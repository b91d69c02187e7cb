// Plain structs of the pooling family.
#pragma once
#include "kernels/types.h"

namespace offramp::kernels {

enum class PoolKind : u8 { max, avg };  // avg: padded zeros are not counted in the divisor

struct PoolDims {
  i64 n, h, w, c;               // NHWC
  i64 kernel, stride, pad = 0;  // pad <= kernel/2
  PoolKind kind;
  friend constexpr bool operator==(const PoolDims&, const PoolDims&) = default;
};

template <class T>
struct PoolCallT {
  PoolDims dims;
  i64 out_h, out_w;
  const T* x;  // [n,h,w,c]
  T* y;        // [n,out_h,out_w,c], overwritten
};
using PoolCall = PoolCallT<float>;

// max: the gradient goes to the first maximum of the window in row-major order, found again from x.
template <class T>
struct PoolGradCallT {
  PoolDims dims;
  i64 out_h, out_w;
  const T* x;   // read for max only
  const T* gy;  // [n,out_h,out_w,c]
  T* gx;        // [n,h,w,c], overwritten
};
using PoolGradCall = PoolGradCallT<float>;

struct GlobalPoolDims {
  i64 n, hw, c;  // hw = height * width
  friend constexpr bool operator==(const GlobalPoolDims&, const GlobalPoolDims&) = default;
};

template <class T>
struct GlobalAvgPoolCallT {
  GlobalPoolDims dims;
  const T* x;  // [n,hw,c]
  T* y;        // [n,c], overwritten
};
using GlobalAvgPoolCall = GlobalAvgPoolCallT<float>;

template <class T>
struct GlobalAvgPoolGradCallT {
  GlobalPoolDims dims;
  const T* gy;  // [n,c]
  T* gx;        // [n,hw,c], overwritten
};
using GlobalAvgPoolGradCall = GlobalAvgPoolGradCallT<float>;

}  // namespace offramp::kernels
