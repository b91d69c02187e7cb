#include "autograd/ops/pool.h"

#include "autograd/ops/common.h"
#include "kernels/pool/pool.h"

namespace offramp::ops {
namespace {

using kernels::PoolDims;
using kernels::PoolKind;

PoolDims require_dims(const char* op, const Tensor& x, const PoolOptions& o, PoolKind kind) {
  require_rank(op, "input [n,h,w,c]", x, 4);
  const PoolDims d{.n = x.extent(0),
                   .h = x.extent(1),
                   .w = x.extent(2),
                   .c = x.extent(3),
                   .kernel = o.kernel,
                   .stride = o.stride == 0 ? o.kernel : o.stride,
                   .pad = o.pad,
                   .kind = kind};
  const std::string got = "input " + x.shape().str() + ", kernel " + std::to_string(d.kernel) + ", stride " +
                          std::to_string(d.stride) + ", pad " + std::to_string(d.pad);
  if (x.count() == 0) refuse(op, "at least one value", got);
  if (d.kernel < 1 || d.stride < 1 || d.pad < 0 || d.pad > d.kernel / 2)
    refuse(op, "kernel >= 1, stride >= 1, 0 <= pad <= kernel/2", got);
  if (d.h + 2 * d.pad < d.kernel || d.w + 2 * d.pad < d.kernel)
    refuse(op, "a kernel that fits into the padded input", got);
  return d;
}

Variable pool(Exec& exec, const Variable& x, const PoolOptions& options, PoolKind kind) {
  const char* op = kind == PoolKind::max ? "max_pool2d" : "avg_pool2d";
  const PoolDims d = require_dims(op, x.value(), options, kind);
  const Extent out = kernels::pool_out(d);
  const Device device = common_device(op, exec, {&x.value()});
  const Tensor xs = packed(x.value());
  Tensor y = Tensor::empty({d.n, out.h, out.w, d.c}, xs.dtype(), device);
  dispatch(op, xs, [&](auto zero) {
    using T = decltype(zero);
    kernels::pool(exec, kernels::PoolCallT<T>{
                            .dims = d, .out_h = out.h, .out_w = out.w, .x = xs.data<T>(), .y = y.data<T>()});
  });
  if (!needs_gradient({&x})) return Variable(y);
  return Variable::result(y, {x}, [d, out, xs, op](Backward& back) {
    Tensor gx = Tensor::empty(xs.shape(), xs.dtype(), back.gy().device());
    dispatch(op, xs, [&](auto zero) {
      using T = decltype(zero);
      kernels::pool_grad(back.exec(), kernels::PoolGradCallT<T>{.dims = d,
                                                                .out_h = out.h,
                                                                .out_w = out.w,
                                                                .x = xs.data<T>(),
                                                                .gy = back.gy().data<T>(),
                                                                .gx = gx.data<T>()});
    });
    back.add(0, std::move(gx));
  });
}

}  // namespace

Variable max_pool2d(Exec& exec, const Variable& x, const PoolOptions& options) {
  return pool(exec, x, options, PoolKind::max);
}

Variable avg_pool2d(Exec& exec, const Variable& x, const PoolOptions& options) {
  return pool(exec, x, options, PoolKind::avg);
}

Variable global_avg_pool(Exec& exec, const Variable& x) {
  constexpr const char* kOp = "global_avg_pool";
  const Tensor xs = packed(x.value());
  require_rank(kOp, "input [n,h,w,c]", xs, 4);
  if (xs.count() == 0) refuse(kOp, "at least one value", xs.shape().str());
  const Device device = common_device(kOp, exec, {&xs});
  const kernels::GlobalPoolDims d{.n = xs.extent(0), .hw = xs.extent(1) * xs.extent(2), .c = xs.extent(3)};
  Tensor y = Tensor::empty({d.n, 1, 1, d.c}, xs.dtype(), device);
  dispatch(kOp, xs, [&](auto zero) {
    using T = decltype(zero);
    kernels::global_avg_pool(exec,
                             kernels::GlobalAvgPoolCallT<T>{.dims = d, .x = xs.data<T>(), .y = y.data<T>()});
  });
  if (!needs_gradient({&x})) return Variable(y);
  return Variable::result(y, {x}, [d, shape = xs.shape()](Backward& back) {
    Tensor gx = Tensor::empty(shape, back.gy().dtype(), back.gy().device());
    dispatch(kOp, gx, [&](auto zero) {
      using T = decltype(zero);
      kernels::global_avg_pool_grad(
          back.exec(),
          kernels::GlobalAvgPoolGradCallT<T>{.dims = d, .gy = back.gy().data<T>(), .gx = gx.data<T>()});
    });
    back.add(0, std::move(gx));
  });
}

}  // namespace offramp::ops
