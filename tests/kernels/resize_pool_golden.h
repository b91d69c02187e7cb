// Results of torch.nn.functional (tests/golden/make_resize_pool.py) that pool and resize are held against.
#pragma once
#include <vector>

#include "kernels/types.h"

namespace offramp::testing {

enum class GoldenKind { bilinear, bicubic, max, avg };

struct Golden {
  GoldenKind kind;
  i64 n, h, w, c, out_h, out_w, kernel, stride, pad;
  std::vector<double> y, gx;
};

inline std::vector<Golden> resize_pool_golden() {
  return {
#include "tests/golden/resize_pool_golden.inc"
  };
}

// The inputs and upstream gradients of the golden cases.
inline std::vector<double> golden_values(size_t count) {
  std::vector<double> v(count);
  for (size_t i = 0; i < count; ++i) v[i] = (double(i * 37 % 101) - 50) / 16;
  return v;
}

}  // namespace offramp::testing
