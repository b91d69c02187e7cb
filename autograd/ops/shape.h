// Other shapes of the same elements, and views of parts of a parameter.
#pragma once
#include "autograd/variable.h"

namespace offramp::ops {

Variable reshape(const Variable& x, const Shape& shape);
Variable flatten(const Variable& x);  // [n,...] -> [n, rest]

// The part of a shared parameter that a narrower layer uses; 0 = all of it.
struct Prefix {
  i64 out = 0;     // first axis: the first so many output channels, or entries of a vector
  i64 in = 0;      // last axis of a convolution or linear weight: the first so many input channels
  i64 kernel = 0;  // convolution weight: centre crop; must have the parity of the whole kernel
};

// w [out,k,k,in], [out,in] or [c]: a pure view, no copy; its gradient is added into that region of w's
// gradient. Throws Error(input) when the part is not inside.
Variable prefix_view(const Variable& w, const Prefix& prefix);

}  // namespace offramp::ops
