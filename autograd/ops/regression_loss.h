// Losses over real-valued targets; results have shape [] and are means over all elements.
#pragma once
#include "autograd/variable.h"

namespace offramp::ops {

// Mean of d^2 / 2 where |d| < 1 and of |d| - 1/2 elsewhere, d = x - target. The target, of x's shape and
// type, is a constant. Source: Girshick 2015, "Fast R-CNN". Throws Error(input) when shapes differ or are
// empty.
Variable smooth_l1(Exec& exec, const Variable& x, const Tensor& target);

}  // namespace offramp::ops
