#include "autograd/ops/linear.h"

#include "autograd/ops/common.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/gemm/gemm.h"

namespace offramp::ops {
namespace {

constexpr const char* kOp = "linear";

// gx [n,k] = gy [n,out] * w [out,k]
template <class T>
Tensor input_gradient(Exec& exec, const Tensor& w, const Tensor& gy) {
  const i64 n = gy.extent(0), out = gy.extent(1), k = w.extent(1);
  Tensor gx = Tensor::empty({n, k}, gy.dtype(), gy.device());
  kernels::gemm(exec, kernels::GemmCallT<T>{.dims = {.m = n, .n = k, .k = out},
                                            .a = gy.data<T>(),
                                            .a_row = out,
                                            .a_k = 1,
                                            .b = w.data<ParamOf<T>>(),
                                            .b_col = 1,
                                            .b_k = w.strides()[0],
                                            .c = gx.data<T>(),
                                            .c_row = k});
  return gx;
}

// gw [out,k] = gy^T * x
template <class T>
Tensor weight_gradient(Exec& exec, const Tensor& x, const Tensor& gy) {
  const i64 n = gy.extent(0), out = gy.extent(1), k = x.extent(1);
  Tensor gw = Tensor::empty({out, k}, param_dtype(gy.dtype()), gy.device());
  if constexpr (cuda::kBuilt)
    if (exec.gpu()) {  // both operands are activations there: the gradient of a 1x1 convolution on 1x1 maps
      kernels::conv2d_grad(exec, kernels::Conv2dGradCallT<T>{
                                     .dims = {.n = n, .h = 1, .w = 1, .c_in = k, .c_out = out, .kernel = 1},
                                     .out_h = 1,
                                     .out_w = 1,
                                     .x = x.data<T>(),
                                     .w = {},
                                     .gy = gy.data<T>(),
                                     .gw = gw.data<ParamOf<T>>()});
      return gw;
    }
  if constexpr (!std::is_same_v<T, Bf16>)
    kernels::gemm(exec, kernels::GemmCallT<T>{.dims = {.m = out, .n = k, .k = n},
                                              .a = gy.data<T>(),
                                              .a_row = 1,
                                              .a_k = out,
                                              .b = x.data<T>(),
                                              .b_col = 1,
                                              .b_k = k,
                                              .c = gw.data<T>(),
                                              .c_row = k});
  return gw;
}

}  // namespace

Variable linear(Exec& exec, const Variable& x, const Variable& w, const Variable& bias) {
  const Tensor b = packed(tensor_or_none(bias));
  require_rank(kOp, "input [n,k]", x.value(), 2);
  require_rank(kOp, "weight [out,k]", w.value(), 2);
  const i64 n = x.value().extent(0), k = x.value().extent(1), out = w.value().extent(0);
  if (n == 0 || k == 0 || out == 0)
    refuse(kOp, "at least one sample, input and output", x.shape().str() + " and weight " + w.shape().str());
  if (w.value().extent(1) != k) refuse(kOp, "weight [out," + std::to_string(k) + "]", w.shape().str());
  if (b.defined() && b.shape() != Shape{out})
    refuse(kOp, "bias [" + std::to_string(out) + "]", b.shape().str());
  const Device device = common_device(kOp, exec, {&x.value(), &w.value(), &b});
  const Tensor xs = packed(x.value());
  const Tensor ws = k == 1 || w.value().strides()[1] == 1 ? w.value() : packed(w.value());

  Tensor y = Tensor::empty({n, out}, xs.dtype(), device);
  dispatch(kOp, xs, [&](auto zero) {
    using T = decltype(zero);
    kernels::gemm(exec, kernels::GemmCallT<T>{.dims = {.m = n, .n = out, .k = k},
                                              .a = xs.data<T>(),
                                              .a_row = k,
                                              .a_k = 1,
                                              .b = ws.data<ParamOf<T>>(),
                                              .b_col = ws.strides()[0],
                                              .b_k = 1,
                                              .bias = data_or_null<ParamOf<T>>(b),
                                              .c = y.data<T>(),
                                              .c_row = out});
  });
  if (!needs_gradient({&x, &w, &bias})) return Variable(y);

  return Variable::result(y, {x, w, bias}, [xs, ws, b](Backward& back) {
    dispatch(kOp, xs, [&](auto zero) {
      using T = decltype(zero);
      if (back.wants(0)) back.add(0, input_gradient<T>(back.exec(), ws, back.gy()));
      if (back.wants(1)) back.add(1, weight_gradient<T>(back.exec(), xs, back.gy()));
    });
    if (b.defined() && back.wants(2)) back.add(2, column_sum(back.exec(), back.gy()));
  });
}

}  // namespace offramp::ops
