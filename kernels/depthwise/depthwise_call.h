// Plain structs of the depthwise family: one filter per channel.
#pragma once
#include "kernels/conv2d/conv2d_call.h"

namespace offramp::kernels {

struct DepthwiseDims {
  i64 n, h, w, c;  // NHWC
  i64 kernel, stride = 1, pad = 0;
  friend constexpr bool operator==(const DepthwiseDims&, const DepthwiseDims&) = default;
};

// y = act(depthwise(x, w) + bias). Weights [c][kernel][kernel] through WeightView (to_next_out = next
// channel).
template <class T>
struct DepthwiseCallT {
  DepthwiseDims dims;
  i64 out_h, out_w;
  const T* x;  // [n,h,w,c]
  WeightViewT<ParamOf<T>> w;
  const ParamOf<T>* packed = nullptr;  // depthwise_pack's result, or null
  const ParamOf<T>* bias = nullptr;    // [c] or null
  Act act = Act::none;
  T* y;  // [n,out_h,out_w,c], overwritten
};
using DepthwiseCall = DepthwiseCallT<float>;

// Gradients of the plain convolution; wanted outputs are non-null and overwritten; gw dense
// [c][kernel][kernel].
template <class T>
struct DepthwiseGradCallT {
  DepthwiseDims dims;
  i64 out_h, out_w;
  const T* x;
  WeightViewT<ParamOf<T>> w;
  const T* gy;
  T* gx = nullptr;
  ParamOf<T>* gw = nullptr;
};
using DepthwiseGradCall = DepthwiseGradCallT<float>;

}  // namespace offramp::kernels
