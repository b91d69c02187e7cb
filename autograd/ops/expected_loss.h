// The loss of exits that learn when to be left.
#pragma once
#include <vector>

#include "autograd/variable.h"

namespace offramp::ops {

// kernels/expected_loss/expected_loss_call.h has the formula.
struct ExpectedLossOptions {
  double classes = 1, truth = 1, peak = 1, cost = 1;  // weights
  double label_smoothing = 0;                         // of the cross entropies, in [0,1)
  std::vector<double> costs;                          // of leaving at each exit; empty: no such term
  double budget = 0;
  bool cost_gradient = true;  // false: the cost term is a figure that no parameter feels
  Tensor peaks;  // f64 [early exits, classes] where the context computes; undefined: no such term
};

// logits of each exit [n,classes], confidence (logits) of each but the last [n,1], labels i64 [n]. Shape [].
// Throws Error(input) when shapes or numbers do not fit or, on the host, a label is outside [0,classes).
Variable expected_loss(Exec& exec, const std::vector<Variable>& logits,
                       const std::vector<Variable>& confidence, const Tensor& labels,
                       const ExpectedLossOptions& options);

}  // namespace offramp::ops
