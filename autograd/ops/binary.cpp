#include "autograd/ops/binary.h"

#include "autograd/ops/common.h"
#include "kernels/binary/binary.h"

namespace offramp::ops {
namespace {

using kernels::BinaryDims;
using kernels::BinaryKind;

const char* name_of(BinaryKind kind) { return kind == BinaryKind::add ? "add" : "mul"; }

BinaryDims require_dims(const Tensor& x, const Tensor& z, BinaryKind kind) {
  const bool same = x.shape() == z.shape();
  const bool per_channel =
      x.rank() == 4 && z.rank() == 4 && z.shape() == Shape{x.extent(0), 1, 1, x.extent(3)};
  if (!same && !per_channel)
    refuse(name_of(kind), "z like x " + x.shape().str() + " (or [n,1,1,c] of it)", z.shape().str());
  if (x.count() == 0) refuse(name_of(kind), "at least one value", x.shape().str());
  const i64 c = x.rank() ? x.extent(-1) : 1, n = x.rank() > 1 ? x.extent(0) : 1;
  return {.n = n, .hw = x.count() / (n * c), .c = c, .kind = kind, .broadcast = !same};
}

Variable binary(Exec& exec, const Variable& x, const Variable& z, BinaryKind kind) {
  const char* op = name_of(kind);
  const BinaryDims dims = require_dims(x.value(), z.value(), kind);
  const Device device = common_device(op, exec, {&x.value(), &z.value()});
  const Tensor xs = packed(x.value()), zs = packed(z.value());
  Tensor y = Tensor::empty(xs.shape(), xs.dtype(), device);
  dispatch(op, xs, [&](auto zero) {
    using T = decltype(zero);
    kernels::binary(
        exec, kernels::BinaryCallT<T>{.dims = dims, .x = xs.data<T>(), .z = zs.data<T>(), .y = y.data<T>()});
  });
  if (!needs_gradient({&x, &z})) return Variable(y);
  if (kind == BinaryKind::add && !dims.broadcast)
    return Variable::result(y, {x, z}, [](Backward& back) {
      if (!back.wants(1)) return back.add_gy(0);
      if (!back.wants(0)) return back.add_gy(1);
      back.add_shared(0, back.gy());
      back.add_shared(1, back.gy());
    });
  return Variable::result(y, {x, z}, [dims, xs, zs](Backward& back) {
    Tensor gx, gz;
    const Tensor& gy = back.gy();
    if (back.wants(0)) gx = Tensor::empty(gy.shape(), gy.dtype(), gy.device());
    if (back.wants(1)) gz = Tensor::empty(zs.shape(), gy.dtype(), gy.device());
    dispatch("mul", gy, [&](auto zero) {
      using T = decltype(zero);
      kernels::binary_grad(back.exec(),
                           kernels::BinaryGradCallT<T>{.dims = dims,
                                                       .x = xs.data<T>(),
                                                       .z = zs.data<T>(),
                                                       .gy = gy.data<T>(),
                                                       .gx = gx.defined() ? gx.data<T>() : nullptr,
                                                       .gz = gz.defined() ? gz.data<T>() : nullptr});
    });
    if (gx.defined()) back.add(0, std::move(gx));
    if (gz.defined()) back.add(1, std::move(gz));
  });
}

}  // namespace

Variable add(Exec& exec, const Variable& x, const Variable& z) { return binary(exec, x, z, BinaryKind::add); }
Variable mul(Exec& exec, const Variable& x, const Variable& z) { return binary(exec, x, z, BinaryKind::mul); }

}  // namespace offramp::ops
