// Softmax and its logarithm over the last axis.
#pragma once
#include "autograd/variable.h"

namespace offramp::ops {

Variable softmax(Exec& exec, const Variable& x);
Variable log_softmax(Exec& exec, const Variable& x);

}  // namespace offramp::ops
