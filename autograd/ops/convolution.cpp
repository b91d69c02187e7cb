#include "autograd/ops/convolution.h"

namespace offramp::ops {
namespace {

Tensor vector_of(const Unit& u) { return Tensor::empty({u.c()}, DType::f32, u.w.device()); }

}  // namespace

kernels::Conv2dDims require_conv2d_dims(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias,
                                        const Conv2dOptions& o) {
  require_rank(op, "input [n,h,w,c_in]", x, 4);
  require_rank(op, "weight [c_out,k,k,c_in/groups]", w, 4);
  const kernels::Conv2dDims d{.n = x.extent(0),
                              .h = x.extent(1),
                              .w = x.extent(2),
                              .c_in = x.extent(3),
                              .c_out = w.extent(0),
                              .kernel = w.extent(1),
                              .stride = o.stride,
                              .pad = o.pad,
                              .groups = o.groups};
  const auto want = [&](const std::string& wanted) {
    refuse(op, wanted,
           "input " + x.shape().str() + ", weight " + w.shape().str() + ", stride " +
               std::to_string(o.stride) + ", pad " + std::to_string(o.pad) + ", groups " +
               std::to_string(o.groups));
  };
  if (x.count() == 0 || w.count() == 0) want("at least one sample, pixel, channel and tap");
  if (o.stride < 1 || o.pad < 0 || o.groups < 1) want("stride >= 1, pad >= 0, groups >= 1");
  if (w.extent(2) != d.kernel) want("a square kernel");
  if (d.c_in % d.groups || d.c_out % d.groups) want("groups that divide both channel counts");
  if (w.extent(3) != d.c_in / d.groups)
    want("weights for " + std::to_string(d.c_in / d.groups) + " input channels a group");
  if (d.h + 2 * d.pad < d.kernel || d.w + 2 * d.pad < d.kernel)
    want("a kernel that fits into the padded input");
  if (bias.defined() && bias.shape() != Shape{d.c_out})
    refuse(op, "bias [" + std::to_string(d.c_out) + "]", bias.shape().str());
  return d;
}

Unit::Unit(const char* op, const NormedWeight& parameters) : running(parameters.running) {
  if (!parameters.weight.defined()) return;
  w = viewable(parameters.weight.value());
  gamma = packed(parameters.gamma.value());
  beta = packed(parameters.beta.value());
  for (const Tensor* t : {&gamma, &beta})
    if (t->shape() != Shape{c()})
      refuse(op, "gamma and beta [" + std::to_string(c()) + "]", t->shape().str());
}

void Unit::make_room(const Shape& of_y, DType dtype, Device device) {
  y = Tensor::empty(of_y, dtype, device);
  for (Tensor* t : {&mean, &var, &scale}) *t = Tensor::empty({c()}, DType::f32, device);
}

kernels::NormOut Unit::out(const Exec& exec, float eps) {
  kernels::NormOut out{gamma.data<float>(), eps, mean.data<float>(), var.data<float>(), scale.data<float>()};
  if (exec.gpu() && running.mean.defined())
    out.running = {running.mean.data<float>(), running.var.data<float>(), float(running.weight)};
  return out;
}

UnitGrad::UnitGrad(const Unit& u)
    : w(Tensor::empty(u.w.shape(), DType::f32, u.w.device())),
      gamma(vector_of(u)),
      beta(vector_of(u)),
      of_mean(vector_of(u)),
      of_var(vector_of(u)) {}

kernels::NormGradOut UnitGrad::out(const Unit& u, float eps) {
  return {u.var.data<float>(), eps, gamma.data<float>(), beta.data<float>(), of_mean.data<float>(),
          of_var.data<float>()};
}

void UnitGrad::hand_over(Backward& back, size_t at) {
  back.add(at, std::move(w));
  back.add(at + 1, std::move(gamma));
  back.add(at + 2, std::move(beta));
}

}  // namespace offramp::ops
