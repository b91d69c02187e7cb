// Element-wise sum and product.
#pragma once
#include "autograd/variable.h"

namespace offramp::ops {

// x of any shape; z of the same shape, or [n,1,1,c] for x [n,h,w,c]: one value per sample and channel.
// Throws Error(input) when the shapes do not fit.
Variable add(Exec& exec, const Variable& x, const Variable& z);
Variable mul(Exec& exec, const Variable& x, const Variable& z);

}  // namespace offramp::ops
