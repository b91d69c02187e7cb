#include "autograd/ops/resize.h"

#include "autograd/ops/common.h"
#include "kernels/resize/resize.h"

namespace offramp::ops {

Variable resize(Exec& exec, const Variable& x, i64 out_h, i64 out_w, kernels::ResizeKind kind) {
  constexpr const char* kOp = "resize";
  const Tensor xs = packed(x.value());
  require_rank(kOp, "input [n,h,w,c]", xs, 4);
  if (xs.count() == 0) refuse(kOp, "at least one value", xs.shape().str());
  if (out_h < 1 || out_w < 1)
    refuse(kOp, "an output of at least 1x1", std::to_string(out_h) + "x" + std::to_string(out_w));
  const Device device = common_device(kOp, exec, {&xs});
  const kernels::ResizeDims d{.n = xs.extent(0),
                              .h = xs.extent(1),
                              .w = xs.extent(2),
                              .c = xs.extent(3),
                              .out_h = out_h,
                              .out_w = out_w,
                              .kind = kind};
  Tensor y = Tensor::empty({d.n, out_h, out_w, d.c}, xs.dtype(), device);
  dispatch(kOp, xs, [&](auto zero) {
    using T = decltype(zero);
    kernels::resize(exec, kernels::ResizeCallT<T>{.dims = d, .x = xs.data<T>(), .y = y.data<T>()});
  });
  if (!needs_gradient({&x})) return Variable(y);
  return Variable::result(y, {x}, [d](Backward& back) {
    Tensor gx = Tensor::empty({d.n, d.h, d.w, d.c}, back.gy().dtype(), back.gy().device());
    dispatch(kOp, gx, [&](auto zero) {
      using T = decltype(zero);
      kernels::resize_grad(
          back.exec(), kernels::ResizeGradCallT<T>{.dims = d, .gy = back.gy().data<T>(), .gx = gx.data<T>()});
    });
    back.add(0, std::move(gx));
  });
}

}  // namespace offramp::ops
