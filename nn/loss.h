// The loss of a network with several exits.
#pragma once
#include <vector>

#include "autograd/variable.h"

namespace offramp::nn {

struct ExitLossOptions {
  std::vector<double> weights;  // of each exit, in order; empty: 1 each
  double label_smoothing = 0;
  // Part of an exit's loss that follows a teacher instead of the labels, in [0,1]. The teacher is the final
  // exit, itself trained by the labels alone, or whatever logits the caller passes, which then teach the
  // final exit too.
  double distillation = 0;
  double temperature = 1;
};

// sum_e weights[e] * ((1 - d) * cross_entropy(logits[e], labels) + d * kl_div(logits[e], teacher)), d =
// distillation. labels i64 [n]; teacher undefined or logits [n,classes]; no gradient flows into a teacher.
// Shape []. Throws Error(input) when weights and exits differ in number or d is outside [0,1].
Variable exit_loss(Exec& exec, const std::vector<Variable>& logits, const Tensor& labels,
                   const ExitLossOptions& options = {}, const Tensor& teacher = {});

// Share of rows whose largest logit (the first of equals) is the label.
double accuracy(const Tensor& logits, const Tensor& labels);

}  // namespace offramp::nn
