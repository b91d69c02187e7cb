#include "nn/layers/conv_unit.h"

#include "autograd/ops/activation.h"

namespace offramp::nn {

ConvUnit::ConvUnit(const ConvUnitSpec& s, Registry& registry)
    : options_{.stride = s.stride, .pad = s.pad, .groups = s.groups}, act_(s.act) {
  weight_ = registry.parameter(s.name + ".weight", {s.c_out, s.kernel, s.kernel, s.c_in / s.groups},
                               Init::he_normal(s.kernel * s.kernel * s.c_out / s.groups));
  if (s.bias) bias_ = registry.parameter(s.name + ".bias", {s.c_out}, Init::zeros());
  if (s.norm) norm_.emplace(s.name + ".norm", s.c_out, registry);
}

Variable ConvUnit::forward(Exec& exec, const Variable& x, Mode mode) {
  if (norm_ && !bias_.defined() && mode != Mode::evaluate)
    return ops::conv_unit_train(exec, x, normed_weight(exec, mode), options_,
                                {.eps = norm_->eps(), .act = act_});
  const Variable y = ops::conv2d(exec, x, in_mode(weight_, mode), options_, in_mode(bias_, mode));
  return norm_ ? norm_->forward(exec, y, act_, mode) : ops::activation(exec, y, act_);
}

ops::NormedWeight ConvUnit::normed_weight(const Exec& exec, Mode mode) {
  return {in_mode(weight_, mode), in_mode(norm_->gamma(), mode), in_mode(norm_->beta(), mode),
          norm_->running(exec, mode)};
}

void ConvUnit::reset_statistics() {
  if (norm_) norm_->reset_statistics();
}

}  // namespace offramp::nn
