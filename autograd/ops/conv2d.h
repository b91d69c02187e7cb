// 2-D convolution (cross-correlation): dense, grouped or depthwise.
#pragma once
#include "autograd/variable.h"

namespace offramp::ops {

struct Conv2dOptions {
  i64 stride = 1, pad = 0, groups = 1;
};

//   x [n,h,w,c_in]   w [c_out,k,k,c_in/groups], any strides (a view is not copied when its last axis is
//   contiguous) bias [c_out] or undefined   result [n,oh,ow,c_out], oh = floor((h + 2 pad - k) / stride) + 1
// groups = c_in = c_out runs the depthwise kernels. f32 or f64, all of one type.
// Throws Error(input) when a shape does not fit or the output would be empty.
Variable conv2d(Exec& exec, const Variable& x, const Variable& w, const Conv2dOptions& options,
                const Variable& bias = {});

}  // namespace offramp::ops
