#include "autograd/ops/activation.h"

#include "autograd/ops/common.h"
#include "kernels/act/act.h"

namespace offramp::ops {

constexpr const char* kOp = "activation";

Variable activation(Exec& exec, const Variable& x, Act act) {
  if (act == Act::none) return x;
  const Device device = common_device(kOp, exec, {&x.value()});
  const Tensor xs = packed(x.value());
  if (xs.count() == 0) refuse(kOp, "at least one value", xs.shape().str());
  const kernels::ActDims dims{.count = xs.count(), .act = act};
  Tensor y = Tensor::empty(xs.shape(), xs.dtype(), device);
  dispatch(kOp, xs, [&](auto zero) {
    using T = decltype(zero);
    kernels::activate(exec, kernels::ActCallT<T>{.dims = dims, .x = xs.data<T>(), .y = y.data<T>()});
  });
  if (!needs_gradient({&x})) return Variable(y);
  return Variable::result(y, {x}, [dims, xs](Backward& back) {
    Tensor gx = back.gy_or_new();
    dispatch(kOp, xs, [&](auto zero) {
      using T = decltype(zero);
      const T* gy = back.gy().data<T>();
      kernels::activate_grad(back.exec(), kernels::ActGradCallT<T>{
                                              .dims = dims, .x = xs.data<T>(), .gy = gy, .gx = gx.data<T>()});
    });
    back.add(0, std::move(gx));
  });
}

}  // namespace offramp::ops
