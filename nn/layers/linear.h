// Fully connected layer on flattened features.
#pragma once
#include "autograd/ops/activation.h"
#include "autograd/ops/linear.h"
#include "autograd/ops/shape.h"
#include "nn/layers/layer.h"

namespace offramp::nn {

// Parameters name.weight [c_out, features], name.bias [c_out].
class Linear : public Layer {
 public:
  Linear(const LayerSpec& spec, i64 features, Registry& registry)
      : act_(spec.act),
        weight_(registry.parameter(spec.name + ".weight", {spec.c_out, features}, Init::uniform(features))),
        bias_(registry.parameter(spec.name + ".bias", {spec.c_out}, Init::zeros())) {}
  Variable forward(Exec& exec, const Variable& x, Mode mode) override {
    const Variable y = ops::linear(exec, ops::flatten(x), in_mode(weight_, mode), in_mode(bias_, mode));
    return ops::activation(exec, y, act_);
  }

 private:
  Act act_;
  Variable weight_, bias_;
};

}  // namespace offramp::nn
