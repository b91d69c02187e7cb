// An activation on its own: in front of a branch, where the layer before it belongs to the trunk.
#pragma once
#include "autograd/ops/activation.h"
#include "nn/layers/layer.h"

namespace offramp::nn {

class Activation : public Layer {
 public:
  explicit Activation(const LayerSpec& spec) : act_(spec.act) {}
  Variable forward(Exec& exec, const Variable& x, Mode) override { return ops::activation(exec, x, act_); }

 private:
  Act act_;
};

}  // namespace offramp::nn
