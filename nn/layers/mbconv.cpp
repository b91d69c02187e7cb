#include "nn/layers/mbconv.h"

#include "autograd/ops/binary.h"

namespace offramp::nn {

MBConv::MBConv(const LayerSpec& s, i64 c_in, Registry& registry)
    : options_{.stride = s.stride, .pad = s.pad, .act = s.act, .eps = registry.options.eps},
      residual_(s.stride == 1 && c_in == s.c_out) {
  options_.residual = residual_;
  if (s.mid != c_in)
    expand_.emplace(
        ConvUnitSpec{.name = s.name + ".expand", .c_in = c_in, .c_out = s.mid, .norm = true, .act = s.act},
        registry);
  depthwise_.emplace(ConvUnitSpec{.name = s.name + ".depthwise",
                                  .c_in = s.mid,
                                  .c_out = s.mid,
                                  .kernel = s.kernel,
                                  .stride = s.stride,
                                  .pad = s.pad,
                                  .groups = s.mid,
                                  .norm = true,
                                  .act = s.act},
                     registry);
  if (s.se > 0) squeeze_excite_.emplace(s.name + ".se", s.mid, s.se, registry);
  project_.emplace(ConvUnitSpec{.name = s.name + ".project", .c_in = s.mid, .c_out = s.c_out, .norm = true},
                   registry);
}

Variable MBConv::forward(Exec& exec, const Variable& x, Mode mode) {
  if (mode != Mode::evaluate && x.value().dtype() != DType::f64) return forward_fused(exec, x, mode);
  Variable y = expand_ ? expand_->forward(exec, x, mode) : x;
  y = depthwise_->forward(exec, y, mode);
  if (squeeze_excite_) y = squeeze_excite_->forward(exec, y, mode);
  y = project_->forward(exec, y, mode);
  return residual_ ? ops::add(exec, y, x) : y;
}

Variable MBConv::forward_fused(Exec& exec, const Variable& x, Mode mode) {
  ops::MBConvParameters p;
  if (expand_) p.expand = expand_->normed_weight(exec, mode);
  p.depthwise = depthwise_->normed_weight(exec, mode);
  p.project = project_->normed_weight(exec, mode);
  if (squeeze_excite_) {
    const ConvUnit &reduce = squeeze_excite_->reduce(), &gate = squeeze_excite_->expand();
    p.reduce = in_mode(reduce.weight(), mode);
    p.reduce_bias = in_mode(reduce.bias(), mode);
    p.gate = in_mode(gate.weight(), mode);
    p.gate_bias = in_mode(gate.bias(), mode);
  }
  return ops::mbconv_train(exec, x, p, options_);
}

void MBConv::reset_statistics() {
  if (expand_) expand_->reset_statistics();
  depthwise_->reset_statistics();
  project_->reset_statistics();
}

}  // namespace offramp::nn
