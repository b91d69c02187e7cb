// Plain structs of a whole inverted-residual block in one call.
#pragma once
#include "kernels/act/act_call.h"
#include "kernels/types.h"

namespace offramp::kernels {

struct MBConvDims {
  i64 n, h, w, c_in;                // NHWC
  i64 mid, c_out;                   // hidden and last channels
  i64 kernel, stride = 1, pad = 0;  // of the depthwise convolution
  i64 reduced = 0;                  // of squeeze-excite; 0: there is none
  bool expands = true;              // false: no convolution before the depthwise one, mid = c_in
  friend constexpr bool operator==(const MBConvDims&, const MBConvDims&) = default;
};

// act(... + bias), normalisation folded in.
struct MBConvLayer {
  const float *w = nullptr, *bias = nullptr;  // bias may be null
  Act act = Act::none;
};

// y = project(scale * depthwise(expand(x))) + residual, scale = gate(reduce(mean over a sample's pixels)).
// Every result on the way is rounded to T, as calls one by one would store it.
template <class T>
struct MBConvCallT {
  MBConvDims dims;
  i64 out_h, out_w;
  const T* x;                   // [n,h,w,c_in]
  MBConvLayer expand;           // [mid][c_in]
  MBConvLayer depthwise;        // [mid][kernel][kernel]
  MBConvLayer reduce;           // [reduced][mid]
  MBConvLayer gate;             // [mid][reduced]
  MBConvLayer project;          // [c_out][mid]
  const T* residual = nullptr;  // [n,out_h,out_w,c_out] or null
  T* y;                         // [n,out_h,out_w,c_out], none of the others' memory
};
using MBConvCall = MBConvCallT<float>;

// The last two calls of a block with squeeze-excite, scale and projection, as one:
// y = project(x * gate of the sample) + residual, products rounded to T.
template <class T>
struct ScaledProjectCallT {
  i64 n, hw, mid, c_out;
  const T *x, *gate;            // [n][hw][mid], [n][mid]
  MBConvLayer project;          // [c_out][mid]
  const T* residual = nullptr;  // [n][hw][c_out] or null
  T* y;                         // [n][hw][c_out], not x
};
using ScaledProjectCall = ScaledProjectCallT<float>;

}  // namespace offramp::kernels
