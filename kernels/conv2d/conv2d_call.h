// Plain structs of the conv2d family: what a call is, without how it is done.
#pragma once
#include "kernels/bf16.h"
#include "kernels/types.h"

namespace offramp::kernels {

struct Conv2dDims {
  i64 n, h, w, c_in, c_out;  // NHWC input [n,h,w,c_in]
  i64 kernel, stride = 1, pad = 0, groups = 1;
  friend constexpr bool operator==(const Conv2dDims&, const Conv2dDims&) = default;
};

// Weights [c_out][kernel row][kernel col][c_in/groups] through three distances (in elements); input channels
// are contiguous. A width prefix on either side and a centre crop of the kernel are views of the larger
// weight.
template <class T>
struct WeightViewT {
  const T* data;
  i64 to_next_out, to_next_row, to_next_tap;
};
using WeightView = WeightViewT<float>;

// y = act(conv(x, w) + bias + residual), cross-correlation. Parameters are floats where activations are Bf16.
template <class T>
struct Conv2dCallT {
  Conv2dDims dims;
  i64 out_h, out_w;  // conv2d_out(dims)
  const T* x;        // [n,h,w,c_in]
  WeightViewT<ParamOf<T>> w;
  const ParamOf<T>* packed = nullptr;    // conv2d_pack's result for the same dims and target; null: packed on the fly
  const ParamOf<T>* bias = nullptr;      // [c_out] or null
  const T* residual = nullptr;  // [n,out_h,out_w,c_out] or null
  Act act = Act::none;
  T* y;  // [n,out_h,out_w,c_out], overwritten
};
using Conv2dCall = Conv2dCallT<float>;

// Gradients of the plain convolution (no bias, activation or residual inside). Wanted outputs are non-null
// and overwritten; gw is dense [c_out][kernel][kernel][c_in/groups] whatever the distances of w.
template <class T>
struct Conv2dGradCallT {
  Conv2dDims dims;
  i64 out_h, out_w;
  const T* x;        // needed for gw
  WeightViewT<ParamOf<T>> w;  // needed for gx
  const T* gy;       // [n,out_h,out_w,c_out]
  T* gx = nullptr;   // [n,h,w,c_in]
  ParamOf<T>* gw = nullptr;
};
using Conv2dGradCall = Conv2dGradCallT<float>;

}  // namespace offramp::kernels
