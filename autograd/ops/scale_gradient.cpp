#include "autograd/ops/scale_gradient.h"

#include "autograd/ops/common.h"
#include "kernels/cuda/strided.h"
#include "kernels/parallel.h"

namespace offramp::ops {
namespace {

constexpr i64 kGrain = 16384;  // values a thread takes at once

void scale(Exec& exec, const Tensor& from, double factor, Tensor& to) {
  if (is_dry(exec)) return;
  const i64 count = from.count();
  if constexpr (cuda::kBuilt)
    if (exec.gpu()) {
      if (from.dtype() == DType::bf16)
        cuda::scale(*exec.gpu(), count, from.data<Bf16>(), float(factor), to.data<Bf16>());
      else
        cuda::scale(*exec.gpu(), count, from.data<float>(), float(factor), to.data<float>());
      return;
    }
  dispatch_real("scale_gradient", from, [&](auto zero) {
    using T = decltype(zero);
    const T* x = from.data<T>();
    T* y = to.data<T>();
    parallel_for(exec, count, kGrain, [&](i64 begin, i64 end, int) {
      for (i64 i = begin; i < end; ++i) y[i] = x[i] * T(factor);
    });
  });
}

}  // namespace

Variable scale_gradient(const Variable& x, double factor) {
  if (!x.requires_grad()) return x;
  return Variable::result(x.value(), {x}, [factor](Backward& back) {
    const Tensor gy = packed(back.gy());
    Tensor gx = back.gy_or_new();
    if (!gx.is_contiguous()) gx = Tensor::empty(gy.shape(), gy.dtype(), gy.device());
    scale(back.exec(), gy, factor, gx);
    back.add(0, std::move(gx));
  });
}

}  // namespace offramp::ops
