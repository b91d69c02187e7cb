// Inverted residual block: expand 1x1, depthwise k x k, [squeeze-excite], project 1x1, residual.
// Source: Sandler et al. 2018, Howard et al. 2019.
#pragma once
#include <optional>

#include "autograd/ops/mbconv.h"
#include "nn/layers/conv_unit.h"
#include "nn/layers/layer.h"
#include "nn/layers/squeeze_excite.h"

namespace offramp::nn {

// Parameters below name.expand (absent when mid = c_in), name.depthwise, name.se, name.project.
class MBConv : public Layer {
 public:
  MBConv(const LayerSpec& spec, i64 c_in, Registry& registry);
  Variable forward(Exec& exec, const Variable& x, Mode mode) override;
  void reset_statistics() override;

 private:
  // Batch statistics in float: the block as one operation.
  Variable forward_fused(Exec& exec, const Variable& x, Mode mode);

  ops::MBConvOptions options_;
  bool residual_;
  std::optional<ConvUnit> expand_;
  std::optional<ConvUnit> depthwise_;
  std::optional<SqueezeExcite> squeeze_excite_;
  std::optional<ConvUnit> project_;
};

}  // namespace offramp::nn
