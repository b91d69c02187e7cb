// Convolution with optional bias, optional batch norm and an activation.
#pragma once
#include <optional>
#include <string>

#include "autograd/ops/conv_unit.h"
#include "nn/layers/batch_norm.h"
#include "nn/layers/layer.h"

namespace offramp::nn {

struct ConvUnitSpec {
  std::string name;
  i64 c_in, c_out, kernel = 1, stride = 1, pad = 0, groups = 1;
  bool norm = false, bias = false;
  Act act = Act::none;
};

// Parameters name.weight [c_out,k,k,c_in/groups], name.bias [c_out], name.norm.*.
class ConvUnit : public Layer {
 public:
  ConvUnit(const ConvUnitSpec& spec, Registry& registry);
  Variable forward(Exec& exec, const Variable& x, Mode mode) override;
  void reset_statistics() override;

  const Variable& weight() const { return weight_; }
  const Variable& bias() const { return bias_; }
  // Where there is a norm: its parameters and the weight as this mode (train, recalibrate) uses them.
  ops::NormedWeight normed_weight(const Exec& exec, Mode mode);

 private:
  ops::Conv2dOptions options_;
  Act act_;
  Variable weight_, bias_;
  std::optional<BatchNorm> norm_;
};

}  // namespace offramp::nn
