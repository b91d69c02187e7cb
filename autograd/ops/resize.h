// Image resizing: half-pixel centres, no antialias, edges clamped; cubic a = -0.75.
#pragma once
#include "autograd/variable.h"
#include "kernels/resize/resize_call.h"

namespace offramp::ops {

// x [n,h,w,c], result [n,out_h,out_w,c]
Variable resize(Exec& exec, const Variable& x, i64 out_h, i64 out_w, kernels::ResizeKind kind);

}  // namespace offramp::ops
