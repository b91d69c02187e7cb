// Pooling over windows and over whole maps.
#pragma once
#include "autograd/variable.h"

namespace offramp::ops {

struct PoolOptions {
  i64 kernel = 2;
  i64 stride = 0;  // 0: the kernel
  i64 pad = 0;     // <= kernel/2
};

// x [n,h,w,c], result [n,oh,ow,c], sizes floored. Maximum: padding counts as -inf, a tie goes to the first
// element in row-major order. Average: padded zeros are not counted. Throws Error(input) when the output
// would be empty.
Variable max_pool2d(Exec& exec, const Variable& x, const PoolOptions& options);
Variable avg_pool2d(Exec& exec, const Variable& x, const PoolOptions& options);

// x [n,h,w,c], result [n,1,1,c]
Variable global_avg_pool(Exec& exec, const Variable& x);

}  // namespace offramp::ops
