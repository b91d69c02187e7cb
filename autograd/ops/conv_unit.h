// A convolution with a batch normalisation and an activation behind it as one operation: on the card the
// normalisation neither reads the raw result for its statistics nor stores a gradient of it (kernels/normed).
#pragma once
#include "autograd/ops/batch_norm.h"
#include "autograd/ops/conv2d.h"

namespace offramp::ops {

// A convolution's weight [c_out,k,k,c_in/groups] (any strides with contiguous input channels) and the
// normalisation behind it.
struct NormedWeight {
  Variable weight, gamma, beta;
  Running running;
};

//   x [n,h,w,c_in]   result [n,oh,ow,c_out], as of conv2d
// batch_norm_train of conv2d: itself on the host and where the convolution is grouped, up to rounding
// elsewhere.
// Throws Error(input) when a shape does not fit.
Variable conv_unit_train(Exec& exec, const Variable& x, const NormedWeight& parameters,
                         const Conv2dOptions& convolution, const BatchNormOptions& norm = {});

}  // namespace offramp::ops
