#include "autograd/ops/regression_loss.h"

#include <algorithm>
#include <cmath>

#include "autograd/ops/common.h"

namespace offramp::ops {

// A few hundred elements: plain loops, summed in order and in double.
Variable smooth_l1(Exec& exec, const Variable& x, const Tensor& target) {
  constexpr const char* kOp = "smooth_l1";
  const Tensor xs = packed(x.value()), ts = packed(target);
  if (ts.shape() != xs.shape()) refuse(kOp, "target of shape " + xs.shape().str(), ts.shape().str());
  const i64 count = xs.count();
  if (count == 0) refuse(kOp, "at least one value", xs.shape().str());
  Tensor loss = Tensor::empty({}, xs.dtype(), common_device(kOp, exec, {&xs, &ts}));
  if (!is_dry(exec)) {
    dispatch_real(kOp, xs, [&](auto zero) {
      using T = decltype(zero);
      double sum = 0;
      for (i64 i = 0; i < count; ++i) {
        const double d = std::abs(double(xs.data<T>()[i]) - double(ts.data<T>()[i]));
        sum += d < 1 ? 0.5 * d * d : d - 0.5;
      }
      loss.data<T>()[0] = T(sum / double(count));
    });
  }
  if (!needs_gradient({&x})) return Variable(loss);
  return Variable::result(loss, {x}, [xs, ts, count](Backward& back) {
    Tensor gx = Tensor::empty(xs.shape(), xs.dtype(), back.gy().device());
    if (!is_dry(back.exec())) {
      dispatch_real(kOp, xs, [&](auto zero) {
        using T = decltype(zero);
        const T scale = T(back.gy().item() / double(count));
        for (i64 i = 0; i < count; ++i)
          gx.data<T>()[i] = scale * std::clamp(xs.data<T>()[i] - ts.data<T>()[i], T(-1), T(1));
      });
    }
    back.add(0, std::move(gx));
  });
}

}  // namespace offramp::ops
