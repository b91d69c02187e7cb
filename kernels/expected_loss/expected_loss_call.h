// Plain structs of the loss of exits that learn when to be left.
#pragma once
#include "kernels/exit_loss/exit_loss_call.h"

namespace offramp::kernels {

template <class T>
struct ExpectedExitT {
  const T* x = nullptr;    // logits [rows,classes]
  const T* own = nullptr;  // logit of the confidence [rows]; null at the last exit, which is certain
  double cost = 0;         // of leaving here
  T *gx = nullptr, *gown = nullptr;  // overwritten with d loss / d x, d own; null: not wanted
};

// With c_i the sigmoid of exit i's confidence (1 at the last exit) and p_i = c_i * prod_{j<i} (1 - c_j), the
// probability of leaving there, means over the rows of
//   of_classes * sum_i p_i * cross entropy of exit i
//   of_truth   * mean over early exits of the binary cross entropy between c_i, clamped to [1e-4, 1 - 1e-4],
//                and "exit i is right", its two outcomes weighted to count alike in the batch
//   of_peak    * mean over early exits of (c_i - peaks[i][target])^2
// and of_cost * max(0, mean cost - budget) / |cost of the last exit - budget|, mean cost = mean of sum_i p_i
// * cost_i. Source: Gambella et al. 2024 (NACHOS, arXiv 2401.13330) and its program.
template <class T>
struct ExpectedLossCallT {
  i64 rows, classes;
  int exits;
  ExpectedExitT<T> exit[kMostExits];
  const i64* target;  // [rows], each in [0,classes)
  double of_classes, of_truth, of_peak, of_cost;
  double label_smoothing;  // of the cross entropies
  double budget;
  bool cost_gradient;   // false: the cost is a figure that nothing feels
  const double* peaks;  // [exits - 1][classes]; null, or negative for a class: no such term
  ParamOf<T>* loss;     // one value, overwritten
};

}  // namespace offramp::kernels
