// A whole inverted residual block with batch statistics as one operation, so that no normalised or activated
// tensor and no gradient of a convolution's raw result is ever stored (kernels/normed).
#pragma once
#include "autograd/ops/conv_unit.h"

namespace offramp::ops {

struct MBConvParameters {
  NormedWeight expand;  // 1x1; undefined: no expansion
  NormedWeight depthwise, project;
  Variable reduce, reduce_bias, gate, gate_bias;  // squeeze-excite [r,1,1,mid], [mid,1,1,r]; undefined: none
};

struct MBConvOptions {
  i64 stride = 1, pad = 0;
  Act act = Act::none;
  bool residual = false;
  double eps = 1e-5;
};

//   x [n,h,w,c_in]   result [n,oh,ow,c_out]; f32, on the card bf16 too
// The chain conv2d, batch_norm_train, ..., add of the separate operations up to rounding.
// Throws Error(input) when a shape does not fit.
Variable mbconv_train(Exec& exec, const Variable& x, const MBConvParameters& parameters,
                      const MBConvOptions& options);

}  // namespace offramp::ops
