// Batch normalisation with running statistics and the activation behind it.
#pragma once
#include <string>

#include "autograd/ops/batch_norm.h"
#include "nn/layers/layer.h"

namespace offramp::nn {

// Parameters name.gamma, name.beta [c]; buffers name.mean, name.var [c] (var: unbiased).
class BatchNorm {
 public:
  BatchNorm(const std::string& name, i64 c, Registry& registry);
  Variable forward(Exec& exec, const Variable& x, Act act, Mode mode);
  void reset_statistics() { batches_seen_ = 0; }
  // The running statistics and how they follow the next batch's in this mode (train, recalibrate).
  ops::Running running(const Exec& exec, Mode mode);

  const Variable& gamma() const { return gamma_; }
  const Variable& beta() const { return beta_; }
  double eps() const { return eps_; }

 private:
  Variable gamma_, beta_;
  Tensor mean_, var_;
  double eps_, momentum_;
  i64 batches_seen_ = 0;  // while recalibrating
};

}  // namespace offramp::nn
