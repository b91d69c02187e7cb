// Losses over logits [n,classes]; results have shape [] and are means over the batch.
#pragma once
#include <span>

#include "autograd/variable.h"

namespace offramp::ops {

// Mean of -sum_j q_j log softmax(logits)_j, q = (1 - s) onehot(label) + s / classes, s = label_smoothing in
// [0,1). labels i64 [n]. Throws Error(input) when a label is outside [0,classes).
Variable cross_entropy(Exec& exec, const Variable& logits, const Tensor& labels, double label_smoothing = 0);

// T^2 * mean KL(softmax(teacher/T) || softmax(logits/T)), T = temperature > 0. The teacher is a constant.
// Source: Hinton, Vinyals & Dean 2015.
Variable kl_div(Exec& exec, const Variable& logits, const Tensor& teacher, double temperature = 1);

// sum_i weights[i] * terms[i] of equally shaped terms (losses).
Variable weighted_sum(Exec& exec, std::span<const Variable> terms, std::span<const double> weights);

}  // namespace offramp::ops
