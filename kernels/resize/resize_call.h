// Plain structs of image resizing: half-pixel centres, no antialias, edges clamped; cubic a = -0.75.
#pragma once
#include "kernels/types.h"

namespace offramp::kernels {

enum class ResizeKind : u8 { bilinear, bicubic };

struct ResizeDims {
  i64 n, h, w, c;  // NHWC
  i64 out_h, out_w;
  ResizeKind kind;
  friend constexpr bool operator==(const ResizeDims&, const ResizeDims&) = default;
};

template <class T>
struct ResizeCallT {
  ResizeDims dims;
  const T* x;  // [n,h,w,c]
  T* y;        // [n,out_h,out_w,c], overwritten
};
using ResizeCall = ResizeCallT<float>;

template <class T>
struct ResizeGradCallT {
  ResizeDims dims;
  const T* gy;
  T* gx;  // overwritten
};
using ResizeGradCall = ResizeGradCallT<float>;

}  // namespace offramp::kernels
