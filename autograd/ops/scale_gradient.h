// Gradients scaled on their way back, for losses that meet in a shared trunk.
#pragma once
#include "autograd/variable.h"

namespace offramp::ops {

// x itself; what comes back through the result is multiplied by `factor` before it reaches x.
Variable scale_gradient(const Variable& x, double factor);

}  // namespace offramp::ops
