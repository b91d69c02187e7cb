#include "nn/optim/adamw.h"

#include <cmath>

#include "kernels/cuda/built.h"
#include "kernels/recorder.h"
#include "kernels/update/update.h"

namespace offramp::nn {
namespace {

struct Step {
  AdamWOptions options;
  double weight_decay, lr, grad_scale, bias1, bias2;
};

template <class T>
void update(Exec& exec, const Step& s, const Tensor& g, Tensor& m, Tensor& v, Tensor p) {
  kernels::adamw_update(exec, kernels::AdamWCallT<T>{.count = p.count(),
                                                     .lr = T(s.lr),
                                                     .beta1 = T(s.options.beta1),
                                                     .beta2 = T(s.options.beta2),
                                                     .eps = T(s.options.eps),
                                                     .weight_decay = T(s.weight_decay),
                                                     .bias1 = T(s.bias1),
                                                     .bias2 = T(s.bias2),
                                                     .grad_scale = T(s.grad_scale),
                                                     .g = g.data<T>(),
                                                     .m = m.data<T>(),
                                                     .v = v.data<T>(),
                                                     .p = p.data<T>()});
}

}  // namespace

AdamW::AdamW(std::vector<NamedParameter> parameters, const AdamWOptions& options)
    : Optimizer(std::move(parameters)), options_(options) {
  for (const NamedParameter& p : parameters_) {
    const Tensor& t = p.variable.value();
    moments_.push_back({Tensor::zeros(t.shape(), t.dtype(), t.device()),
                        Tensor::zeros(t.shape(), t.dtype(), t.device()),
                        Tensor::zeros({1}, DType::i64, t.device())});
  }
}

void AdamW::step(Exec& exec, double lr, double grad_scale) {
  const bool dry = exec.recorder && exec.recorder->dry;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Variable& p = parameters_[i].variable;
    if (!p.grad().defined()) continue;
    i64& steps = *moments_[i].steps.data<i64>();
    const double t = double(steps + 1);
    if (!dry) ++steps;
    const Step step{.options = options_,
                    .weight_decay = has_weight_decay(parameters_[i].name) ? options_.weight_decay : 0,
                    .lr = lr,
                    .grad_scale = grad_scale,
                    .bias1 = 1 - std::pow(options_.beta1, t),
                    .bias2 = 1 - std::pow(options_.beta2, t)};
    const auto run = p.value().dtype() == DType::f64 ? update<double> : update<float>;
    run(exec, step, p.grad(), moments_[i].m, moments_[i].v, p.value());
  }
}

void AdamW::add_state(size_t index, kernels::cuda::UpdateEntry& entry) {
  entry.state = moments_[index].m.data<float>();
  entry.second = moments_[index].v.data<float>();
  entry.steps = moments_[index].steps.data<i64>();
  entry.weight_decay = has_weight_decay(parameters_[index].name) ? float(options_.weight_decay) : 0.0f;
}

void AdamW::step_on_card(Exec& exec, std::span<const kernels::cuda::UpdateEntry> list,
                         const kernels::cuda::StepState* state) const {
  if constexpr (cuda::kBuilt)
    kernels::cuda::adamw_all(exec, list, float(options_.beta1), float(options_.beta2), float(options_.eps),
                             state);
}

StateDict AdamW::state() const {
  StateDict out;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const std::string& name = parameters_[i].name;
    out.emplace(name + ".m", moments_[i].m);
    out.emplace(name + ".v", moments_[i].v);
    out.emplace(name + ".steps", moments_[i].steps);
  }
  return out;
}

}  // namespace offramp::nn
