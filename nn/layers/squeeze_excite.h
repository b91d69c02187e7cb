// Channel attention: x * hard_sigmoid(expand(relu(reduce(mean of x)))).
// Source: Hu et al. 2018, with the gate of Howard et al. 2019.
#pragma once
#include <string>

#include "nn/layers/conv_unit.h"
#include "nn/layers/layer.h"

namespace offramp::nn {

// Two 1x1 convolutions with bias: name.reduce [r,1,1,c], name.expand [c,1,1,r].
class SqueezeExcite : public Layer {
 public:
  SqueezeExcite(const std::string& name, i64 c, i64 reduced, Registry& registry);
  Variable forward(Exec& exec, const Variable& x, Mode mode) override;

  const ConvUnit& reduce() const { return reduce_; }
  const ConvUnit& expand() const { return expand_; }

 private:
  ConvUnit reduce_, expand_;
};

}  // namespace offramp::nn
