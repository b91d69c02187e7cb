#include "autograd/ops/batch_norm.h"

#include <algorithm>

#include "autograd/ops/common.h"
#include "kernels/norm/norm.h"

namespace offramp::ops {
namespace {

constexpr const char* kOp = "batch_norm";

kernels::NormDims require_dims(const Tensor& x, std::initializer_list<const Tensor*> per_channel) {
  if (x.rank() < 1 || x.count() == 0) refuse(kOp, "input [...,c] with at least one value", x.shape().str());
  const i64 c = x.extent(-1);
  for (const Tensor* t : per_channel)
    if (t->shape() != Shape{c})
      refuse(kOp, "gamma, beta, mean and variance [" + std::to_string(c) + "]", t->shape().str());
  return {.rows = x.count() / c, .c = c};
}

struct Saved {
  kernels::NormDims dims;
  Tensor x, gamma, beta, mean, var;
  BatchNormOptions options;
  bool batch_statistics;
};

template <class T>
void gradient(Backward& back, const Saved& s) {
  const Tensor& gy = back.gy();
  const T* gy_data = gy.data<T>();
  Tensor gx, ggamma, gbeta;
  if (back.wants(0)) gx = Tensor::empty(gy.shape(), gy.dtype(), gy.device());
  if (back.wants(1)) ggamma = Tensor::empty({s.dims.c}, param_dtype(gy.dtype()), gy.device());
  if (back.wants(2)) gbeta = Tensor::empty({s.dims.c}, param_dtype(gy.dtype()), gy.device());
  kernels::norm_grad(
      back.exec(), kernels::NormGradCallT<T>{.dims = s.dims,
                                             .x = s.x.data<T>(),
                                             .gy = gy_data,
                                             .mean = s.mean.data<ParamOf<T>>(),
                                             .var = s.var.data<ParamOf<T>>(),
                                             .gamma = s.gamma.data<ParamOf<T>>(),
                                             .beta = s.beta.data<ParamOf<T>>(),
                                             .eps = ParamOf<T>(s.options.eps),
                                             .act = s.options.act,
                                             .batch_statistics = s.batch_statistics,
                                             .gx = gx.defined() ? gx.data<T>() : nullptr,
                                             .ggamma = ggamma.defined() ? ggamma.data<ParamOf<T>>() : nullptr,
                                             .gbeta = gbeta.defined() ? gbeta.data<ParamOf<T>>() : nullptr});
  if (gx.defined()) back.add(0, std::move(gx));
  if (ggamma.defined()) back.add(1, std::move(ggamma));
  if (gbeta.defined()) back.add(2, std::move(gbeta));
}

Variable result(Tensor y, const Variable& x, const Variable& gamma, const Variable& beta, Saved saved) {
  return Variable::result(std::move(y), {x, gamma, beta}, [s = std::move(saved)](Backward& back) {
    dispatch(kOp, s.x, [&](auto zero) { gradient<decltype(zero)>(back, s); });
  });
}

// The card's kernels let running statistics follow themselves.
template <class T>
kernels::RunningT<ParamOf<T>> on_card(const Exec& exec, Running running) {
  if (!exec.gpu() || !running.mean.defined()) return {};
  return {running.mean.data<ParamOf<T>>(), running.var.data<ParamOf<T>>(), ParamOf<T>(running.weight)};
}

}  // namespace

Variable batch_norm_train(Exec& exec, const Variable& x, const Variable& gamma, const Variable& beta,
                          const BatchNormOptions& options, const Running& running) {
  const Tensor xs = packed(x.value()), g = packed(gamma.value()), b = packed(beta.value());
  const kernels::NormDims dims = require_dims(xs, {&g, &b});
  const Device device = common_device(kOp, exec, {&xs, &g, &b});
  const DType param = param_dtype(xs.dtype());
  Tensor mean = Tensor::empty({dims.c}, param, device), var = Tensor::empty({dims.c}, param, device);
  Tensor y = Tensor::empty(xs.shape(), xs.dtype(), device);
  dispatch(kOp, xs, [&](auto zero) {
    using T = decltype(zero);
    kernels::norm_train(exec, kernels::NormTrainCallT<T>{.dims = dims,
                                                         .x = xs.data<T>(),
                                                         .gamma = g.data<ParamOf<T>>(),
                                                         .beta = b.data<ParamOf<T>>(),
                                                         .eps = ParamOf<T>(options.eps),
                                                         .act = options.act,
                                                         .mean = mean.data<ParamOf<T>>(),
                                                         .var = var.data<ParamOf<T>>(),
                                                         .y = y.data<T>(),
                                                         .running = on_card<T>(exec, running)});
  });
  if (!exec.gpu() && running.mean.defined())
    update_running(exec, running.mean, running.var, {.mean = mean, .var = var, .rows = dims.rows},
                   running.weight);
  if (!needs_gradient({&x, &gamma, &beta})) return Variable(y);
  return result(y, x, gamma, beta, {dims, xs, g, b, mean, var, options, true});
}

Variable batch_norm(Exec& exec, const Variable& x, const Variable& gamma, const Variable& beta,
                    const Tensor& mean, const Tensor& var, const BatchNormOptions& options) {
  const Tensor xs = packed(x.value()), g = packed(gamma.value()), b = packed(beta.value());
  const Tensor m = packed(mean), v = packed(var);
  const kernels::NormDims dims = require_dims(xs, {&g, &b, &m, &v});
  const Device device = common_device(kOp, exec, {&xs, &g, &b, &m, &v});
  Tensor y = Tensor::empty(xs.shape(), xs.dtype(), device);
  dispatch(kOp, xs, [&](auto zero) {
    using T = decltype(zero);
    kernels::norm(exec, kernels::NormCallT<T>{.dims = dims,
                                              .x = xs.data<T>(),
                                              .mean = m.data<ParamOf<T>>(),
                                              .var = v.data<ParamOf<T>>(),
                                              .gamma = g.data<ParamOf<T>>(),
                                              .beta = b.data<ParamOf<T>>(),
                                              .eps = ParamOf<T>(options.eps),
                                              .act = options.act,
                                              .y = y.data<T>()});
  });
  if (!needs_gradient({&x, &gamma, &beta})) return Variable(y);
  // The caller may go on updating its running statistics before backward() runs.
  return result(y, x, gamma, beta,
                {dims, xs, g, b, is_dry(exec) ? m : m.clone(), is_dry(exec) ? v : v.clone(), options, false});
}

void update_running(const Exec& exec, Tensor mean, Tensor var, const BatchStatistics& batch,
                    double momentum) {
  if (is_dry(exec)) return;
  for (const Tensor* t : {&mean, &var})
    if (t->shape() != batch.mean.shape() || t->dtype() != batch.mean.dtype() || t->rank() != 1)
      refuse(kOp, "running statistics like those of the batch, " + batch.mean.shape().str(),
             t->shape().str());
  dispatch_real(kOp, mean, [&](auto zero) {
    using T = decltype(zero);
    const T m = T(momentum), unbiased = T(double(batch.rows) / double(std::max<i64>(batch.rows - 1, 1)));
    const i64 mean_step = mean.strides()[0], var_step = var.strides()[0];
    const T *batch_mean = batch.mean.data<T>(), *batch_var = batch.var.data<T>();
    T *run_mean = mean.data<T>(), *run_var = var.data<T>();
    // Momentum 1 replaces: nothing of the old value is left, not even in the last bit.
    const auto mix = [m](T& to, T now) { to = m == 1 ? now : to + m * (now - to); };
    for (i64 j = 0; j < mean.count(); ++j) {
      mix(run_mean[j * mean_step], batch_mean[j]);
      mix(run_var[j * var_step], batch_var[j] * unbiased);
    }
  });
}

}  // namespace offramp::ops
