#include "nn/optim/sgd.h"

#include "kernels/cuda/built.h"
#include "kernels/update/update.h"

namespace offramp::nn {
namespace {

template <class T>
void update(Exec& exec, const SgdOptions& o, bool decay, double lr, double grad_scale, const Tensor& g,
            Tensor& v, Tensor p) {
  kernels::sgd_update(exec, kernels::SgdCallT<T>{.count = p.count(),
                                                 .lr = T(lr),
                                                 .momentum = T(o.momentum),
                                                 .weight_decay = T(decay ? o.weight_decay : 0),
                                                 .grad_scale = T(grad_scale),
                                                 .nesterov = o.nesterov,
                                                 .g = g.data<T>(),
                                                 .v = v.data<T>(),
                                                 .p = p.data<T>()});
}

}  // namespace

Sgd::Sgd(std::vector<NamedParameter> parameters, const SgdOptions& options)
    : Optimizer(std::move(parameters)), options_(options) {
  for (const NamedParameter& p : parameters_) {
    const Tensor& t = p.variable.value();
    velocity_.push_back(Tensor::zeros(t.shape(), t.dtype(), t.device()));
  }
}

void Sgd::step(Exec& exec, double lr, double grad_scale) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Variable& p = parameters_[i].variable;
    if (!p.grad().defined()) continue;
    const auto run = p.value().dtype() == DType::f64 ? update<double> : update<float>;
    run(exec, options_, has_weight_decay(parameters_[i].name), lr, grad_scale, p.grad(), velocity_[i],
        p.value());
  }
}

void Sgd::add_state(size_t index, kernels::cuda::UpdateEntry& entry) {
  entry.state = velocity_[index].data<float>();
  entry.weight_decay = has_weight_decay(parameters_[index].name) ? float(options_.weight_decay) : 0.0f;
}

void Sgd::step_on_card(Exec& exec, std::span<const kernels::cuda::UpdateEntry> list,
                       const kernels::cuda::StepState* state) const {
  if constexpr (cuda::kBuilt)
    kernels::cuda::sgd_all(exec, list, float(options_.momentum), options_.nesterov, state);
}

StateDict Sgd::state() const {
  StateDict out;
  for (size_t i = 0; i < parameters_.size(); ++i)
    out.emplace(parameters_[i].name + ".velocity", velocity_[i]);
  return out;
}

}  // namespace offramp::nn
