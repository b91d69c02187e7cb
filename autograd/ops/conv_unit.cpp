#include "autograd/ops/conv_unit.h"

#include "autograd/ops/convolution.h"

namespace offramp::ops {
namespace {

using namespace kernels;

constexpr const char* kOp = "conv_unit";

struct Saved {
  Conv2dDims dims;
  BatchNormOptions norm;
  Tensor x;
  Unit unit;

  Extent out() const { return conv2d_out(dims); }
  float eps() const { return float(norm.eps); }
  NormedDims result_dims() const {
    const i64 hw = out().h * out().w;
    return {.rows = dims.n * hw, .c_in = dims.c_out, .c_out = dims.c_out, .hw = hw};
  }
};

template <class T>
Tensor run(Exec& exec, Saved& s) {
  const auto [out_h, out_w] = s.out();
  s.unit.make_room({s.dims.n, out_h, out_w, s.dims.c_out}, s.x.dtype(), s.x.device());
  kernels::cuda::normed_conv2d(exec, NormedConv2dCallT<T>{.dims = s.dims,
                                                          .out_h = out_h,
                                                          .out_w = out_w,
                                                          .x = std::as_const(s.x).data<T>(),
                                                          .w = view_of<T>(s.unit.w),
                                                          .y = s.unit.y.data<T>(),
                                                          .out = s.unit.out(exec, s.eps())});
  Tensor y = Tensor::empty(s.unit.y.shape(), s.x.dtype(), s.x.device());
  normed_add(exec, NormedAddCallT<T>{.dims = s.result_dims(),
                                     .in = s.unit.template read<T>(s.norm.act),
                                     .residual = nullptr,
                                     .y = y.data<T>()});
  return y;
}

template <class T>
void gradient(Backward& back, const Saved& s) {
  Exec& exec = back.exec();
  const Tensor gy = back.gy();
  UnitGrad grad(s.unit);
  normed_slope(exec, NormedSlopeCallT<T>{.dims = s.result_dims(),
                                         .in = s.unit.template read<T>(s.norm.act),
                                         .g = gy.data<T>(),
                                         .dz = nullptr,
                                         .out = grad.out(s.unit, s.eps())});
  Tensor gx;
  if (back.wants(0)) gx = Tensor::empty(s.x.shape(), s.x.dtype(), s.x.device());
  if (gx.defined() || back.wants(1))
    kernels::cuda::normed_conv2d_grad(
        exec, NormedConv2dGradCallT<T>{
                  .dims = s.dims,
                  .out_h = s.out().h,
                  .out_w = s.out().w,
                  .x = s.x.data<T>(),
                  .gy = {grad.template read<T>(s.unit, gy), s.unit.beta.data<float>(), s.norm.act},
                  .w = view_of<T>(s.unit.w),
                  .gw = back.wants(1) ? grad.w.data<float>() : nullptr,
                  .gx = gx.defined() ? gx.data<T>() : nullptr});
  if (gx.defined()) back.add(0, std::move(gx));
  grad.hand_over(back, 1);
}

template <class T>
Variable on_card(Exec& exec, const Variable& x, const NormedWeight& p, const Conv2dOptions& convolution,
                 const BatchNormOptions& norm) {
  const Tensor& in = x.value();
  Saved s{require_conv2d_dims(kOp, in, p.weight.value(), {}, convolution), norm, packed(in), Unit(kOp, p)};
  common_device(kOp, exec, {&s.x, &s.unit.w, &s.unit.gamma, &s.unit.beta});
  Tensor y = run<T>(exec, s);
  if (!needs_gradient({&x, &p.weight, &p.gamma, &p.beta})) return Variable(y);
  return Variable::result(std::move(y), {x, p.weight, p.gamma, p.beta},
                          [s = std::move(s)](Backward& back) { gradient<T>(back, s); });
}

}  // namespace

Variable conv_unit_train(Exec& exec, const Variable& x, const NormedWeight& p,
                         const Conv2dOptions& convolution, const BatchNormOptions& norm) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu() && convolution.groups == 1) {
      const DType dtype = x.value().dtype();
      if (dtype == DType::bf16) return on_card<Bf16>(exec, x, p, convolution, norm);
      if (dtype == DType::f32) return on_card<float>(exec, x, p, convolution, norm);
      refuse(kOp, "f32 or bf16 elements", std::string(dtype_name(dtype)));
    }
  return batch_norm_train(exec, conv2d(exec, x, p.weight, convolution), p.gamma, p.beta, norm, p.running);
}

}  // namespace offramp::ops
