#include "nn/optim/optimizer.h"

#include <cmath>
#include <limits>

#include "kernels/error.h"
#include "kernels/update/update.h"
#include "nn/checkpoint.h"

namespace offramp::nn {

bool has_weight_decay(const std::string& name) { return name.ends_with(".weight") || name == "weight"; }

Optimizer::Optimizer(std::vector<NamedParameter> parameters) : parameters_(std::move(parameters)) {
  for (const NamedParameter& p : parameters_) {
    const Tensor& t = p.variable.value();
    if (!t.is_contiguous() || (t.dtype() != DType::f32 && t.dtype() != DType::f64))
      throw usage_error("optimizer: parameter '" + p.name + "' must be f32 or f64 in row-major order, got " +
                        std::string(dtype_name(t.dtype())) + " " + t.shape().str());
  }
}

void Optimizer::zero_grad() {
  for (NamedParameter& p : parameters_) p.variable.zero_grad();
}

std::vector<kernels::cuda::UpdateEntry> Optimizer::entries() {
  std::vector<kernels::cuda::UpdateEntry> list;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Variable& p = parameters_[i].variable;
    if (!p.grad().defined()) continue;
    Tensor value = p.value();
    list.push_back({.p = value.data<float>(),
                    .g = p.grad().contiguous().data<float>(),
                    .state = nullptr,
                    .count = value.count()});
    add_state(i, list.back());
  }
  return list;
}

void Optimizer::load_state(const StateDict& state) { restore_tensors(this->state(), state); }

GradientNorm clip_gradients(Exec& exec, const std::vector<NamedParameter>& parameters, double max_norm) {
  double squares = 0;
  for (const NamedParameter& p : parameters) {
    const Tensor& g = p.variable.grad();
    if (!g.defined()) continue;
    squares += g.dtype() == DType::f64 ? kernels::sum_squares(exec, g.count(), g.data<double>())
                                       : kernels::sum_squares(exec, g.count(), g.data<float>());
  }
  GradientNorm out{.norm = std::sqrt(squares)};
  if (!std::isfinite(out.norm))
    out.scale = std::numeric_limits<double>::quiet_NaN();
  else if (max_norm > 0 && out.norm > max_norm)
    out.scale = max_norm / out.norm;
  return out;
}

}  // namespace offramp::nn
