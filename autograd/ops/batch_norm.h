// Batch normalisation over the last axis, with the activation behind it fused.
// Source: Ioffe & Szegedy 2015.
#pragma once
#include "autograd/variable.h"

namespace offramp::ops {

struct BatchNormOptions {
  double eps = 1e-5;
  Act act = Act::none;
};

struct BatchStatistics {
  Tensor mean, var;  // [c], var biased
  i64 rows = 0;      // values per channel behind them
};

// Running statistics [c] that follow those of a batch (update_running); mean undefined: none.
struct Running {
  Tensor mean, var;
  double weight = 0;
};

//   x [...,c]   gamma, beta [c]   result like x: act((x - mean) / sqrt(var + eps) * gamma + beta)
// Statistics of this batch; `running` follows them.
Variable batch_norm_train(Exec& exec, const Variable& x, const Variable& gamma, const Variable& beta,
                          const BatchNormOptions& options = {}, const Running& running = {});

// The same with given statistics mean, var [c], constants for the gradient.
Variable batch_norm(Exec& exec, const Variable& x, const Variable& gamma, const Variable& beta,
                    const Tensor& mean, const Tensor& var, const BatchNormOptions& options = {});

// running = (1 - momentum) * running + momentum * batch, in place; the variance enters unbiased
// (rows/(rows-1)). Does nothing under a dry recorder.
void update_running(const Exec& exec, Tensor mean, Tensor var, const BatchStatistics& batch, double momentum);

}  // namespace offramp::ops
