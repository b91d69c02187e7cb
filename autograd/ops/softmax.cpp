#include "autograd/ops/softmax.h"

#include "autograd/ops/common.h"
#include "kernels/softmax/softmax.h"

namespace offramp::ops {
namespace {

Variable any_softmax(Exec& exec, const Variable& x, bool log) {
  const char* op = log ? "log_softmax" : "softmax";
  const Tensor xs = packed(x.value());
  if (xs.rank() < 1 || xs.count() == 0)
    refuse(op, "input [...,classes] with at least one value", xs.shape().str());
  const Device device = common_device(op, exec, {&xs});
  const kernels::SoftmaxDims d{.rows = xs.count() / xs.extent(-1), .classes = xs.extent(-1), .log = log};
  Tensor y = Tensor::empty(xs.shape(), xs.dtype(), device);
  dispatch(op, xs, [&](auto zero) {
    using T = decltype(zero);
    kernels::softmax(exec, kernels::SoftmaxCallT<T>{.dims = d, .x = xs.data<T>(), .y = y.data<T>()});
  });
  if (!needs_gradient({&x})) return Variable(y);
  return Variable::result(y, {x}, [d, op, ys = std::as_const(y)](Backward& back) {
    Tensor gx = Tensor::empty(ys.shape(), ys.dtype(), back.gy().device());
    dispatch(op, ys, [&](auto zero) {
      using T = decltype(zero);
      kernels::softmax_grad(back.exec(),
                            kernels::SoftmaxGradCallT<T>{
                                .dims = d, .y = ys.data<T>(), .gy = back.gy().data<T>(), .gx = gx.data<T>()});
    });
    back.add(0, std::move(gx));
  });
}

}  // namespace

Variable softmax(Exec& exec, const Variable& x) { return any_softmax(exec, x, false); }
Variable log_softmax(Exec& exec, const Variable& x) { return any_softmax(exec, x, true); }

}  // namespace offramp::ops
