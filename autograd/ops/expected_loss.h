// The loss of exits that learn when to be left.
#pragma once
#include <vector>

#include "autograd/variable.h"

namespace offramp::ops {

// With c_i the sigmoid of exit i's confidence (1 at the last exit) and p_i = c_i * prod_{j<i} (1 - c_j), the
// probability of leaving there, means over the batch of
//   classes * sum_i p_i * cross entropy of exit i
//   truth   * mean over early exits of the binary cross entropy between c_i, clamped to [1e-4, 1 - 1e-4], and
//             "exit i is right", its two outcomes weighted to count alike in the batch
//   peak    * mean over early exits of (c_i - peaks[i][label])^2
// and cost * max(0, mean cost - budget) / |cost of the last exit - budget|, mean cost = mean of sum_i p_i *
// costs[i]. Source: Gambella et al. 2024 (NACHOS, arXiv 2401.13330) and its program; there the cost has no
// gradient.
struct ExpectedLossOptions {
  double classes = 1, truth = 1, peak = 1, cost = 1;  // weights
  double label_smoothing = 0;                         // of the cross entropies, in [0,1)
  std::vector<double> costs;                          // of leaving at each exit; empty: no such term
  double budget = 0;
  bool cost_gradient = true;  // false: the cost term is a figure that no parameter feels
  std::vector<double> peaks;  // [early exits][classes]; empty: no such term
};

// logits of each exit [n,classes], confidence (logits) of each but the last [n,1], labels i64 [n]. Shape [].
// On the host only. Throws Error(input) when shapes or numbers do not fit or a label is outside [0,classes).
Variable expected_loss(Exec& exec, const std::vector<Variable>& logits,
                       const std::vector<Variable>& confidence, const Tensor& labels,
                       const ExpectedLossOptions& options);

}  // namespace offramp::ops
