// Element-wise activations; definitions in kernels/types.h.
#pragma once
#include "autograd/variable.h"

namespace offramp::ops {

// result like x; Act::none returns x itself.
Variable activation(Exec& exec, const Variable& x, Act act);

}  // namespace offramp::ops
