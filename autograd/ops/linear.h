// Fully connected layer.
#pragma once
#include "autograd/variable.h"

namespace offramp::ops {

// x [n,k]   w [out,k] (rows may lie apart; contiguous within)   bias [out] or undefined   result [n,out] = x
// w^T + b Throws Error(input) when a shape does not fit.
Variable linear(Exec& exec, const Variable& x, const Variable& w, const Variable& bias = {});

}  // namespace offramp::ops
