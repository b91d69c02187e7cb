#include "autograd/ops/conv2d.h"

#include "autograd/ops/convolution.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/normed/normed.h"

namespace offramp::ops {
namespace {

using kernels::Conv2dDims;
using kernels::DepthwiseDims;

constexpr const char* kOp = "conv2d";

bool is_depthwise(const Conv2dDims& d) { return d.groups == d.c_in && d.c_in == d.c_out && d.groups > 1; }

DepthwiseDims depthwise_dims(const Conv2dDims& d) {
  return {.n = d.n, .h = d.h, .w = d.w, .c = d.c_in, .kernel = d.kernel, .stride = d.stride, .pad = d.pad};
}

bool is_pointwise(const Conv2dDims& d) {
  return d.kernel == 1 && d.stride == 1 && d.pad == 0 && d.groups == 1;
}

// Weights are new in every step of training: nothing is packed.
void train_pointwise(Exec& exec, const Conv2dDims& d, const Tensor& x, const Tensor& w, Tensor& y) {
  const i64 rows = d.n * d.h * d.w;
  kernels::normed_pointwise(exec, {.dims = {.rows = rows, .c_in = d.c_in, .c_out = d.c_out, .hw = rows},
                                   .in = {.x = x.data<float>()},
                                   .w = w.data<float>(),
                                   .w_row = w.strides()[0],
                                   .y = y.data<float>()});
}

template <class T>
void forward(Exec& exec, const Conv2dDims& d, Extent out, const Tensor& x, const Tensor& w,
             const Tensor& bias, Tensor& y) {
  if (is_depthwise(d))
    kernels::depthwise(exec, kernels::DepthwiseCallT<T>{.dims = depthwise_dims(d),
                                                        .out_h = out.h,
                                                        .out_w = out.w,
                                                        .x = x.data<T>(),
                                                        .w = view_of<T>(w),
                                                        .bias = data_or_null<ParamOf<T>>(bias),
                                                        .y = y.data<T>()});
  else
    kernels::conv2d(exec, kernels::Conv2dCallT<T>{.dims = d,
                                                  .out_h = out.h,
                                                  .out_w = out.w,
                                                  .x = x.data<T>(),
                                                  .w = view_of<T>(w),
                                                  .bias = data_or_null<ParamOf<T>>(bias),
                                                  .y = y.data<T>()});
}

// gx, gw: undefined when not wanted.
template <class T>
void gradients(Exec& exec, const Conv2dDims& d, Extent out, const Tensor& x, const Tensor& w,
               const Tensor& gy, Tensor& gx, Tensor& gw) {
  T* gx_data = gx.defined() ? gx.data<T>() : nullptr;
  ParamOf<T>* gw_data = gw.defined() ? gw.data<ParamOf<T>>() : nullptr;
  if (is_depthwise(d))
    kernels::depthwise_grad(exec, kernels::DepthwiseGradCallT<T>{.dims = depthwise_dims(d),
                                                                 .out_h = out.h,
                                                                 .out_w = out.w,
                                                                 .x = x.data<T>(),
                                                                 .w = view_of<T>(w),
                                                                 .gy = gy.data<T>(),
                                                                 .gx = gx_data,
                                                                 .gw = gw_data});
  else
    kernels::conv2d_grad(exec, kernels::Conv2dGradCallT<T>{.dims = d,
                                                           .out_h = out.h,
                                                           .out_w = out.w,
                                                           .x = x.data<T>(),
                                                           .w = view_of<T>(w),
                                                           .gy = gy.data<T>(),
                                                           .gx = gx_data,
                                                           .gw = gw_data});
}

}  // namespace

Variable conv2d(Exec& exec, const Variable& x, const Variable& w, const Conv2dOptions& options,
                const Variable& bias) {
  const Tensor b = packed(tensor_or_none(bias));
  const Conv2dDims d = require_conv2d_dims(kOp, x.value(), w.value(), b, options);
  const Extent out = kernels::conv2d_out(d);
  const Device device = common_device(kOp, exec, {&x.value(), &w.value(), &b});
  const Tensor xs = packed(x.value()), ws = viewable(w.value());
  Tensor y = Tensor::empty({d.n, out.h, out.w, d.c_out}, xs.dtype(), device);
  const bool training = needs_gradient({&w});
  if (training && is_pointwise(d) && !b.defined() && xs.dtype() == DType::f32)
    train_pointwise(exec, d, xs, ws, y);
  else
    dispatch(kOp, xs, [&](auto zero) { forward<decltype(zero)>(exec, d, out, xs, ws, b, y); });
  if (!needs_gradient({&x, &w, &bias})) return Variable(y);

  return Variable::result(y, {x, w, bias}, [d, out, xs, ws, b](Backward& back) {
    const auto wanted = [&](size_t input, const Tensor& like) {
      return back.wants(input) ? Tensor::empty(like.shape(), like.dtype(), back.gy().device()) : Tensor();
    };
    Tensor gx = wanted(0, xs), gw = wanted(1, ws);
    if (gx.defined() || gw.defined())
      dispatch(kOp, xs,
               [&](auto zero) { gradients<decltype(zero)>(back.exec(), d, out, xs, ws, back.gy(), gx, gw); });
    if (gx.defined()) back.add(0, std::move(gx));
    if (gw.defined()) back.add(1, std::move(gw));
    if (b.defined() && back.wants(2)) back.add(2, column_sum(back.exec(), back.gy()));
  });
}

}  // namespace offramp::ops
