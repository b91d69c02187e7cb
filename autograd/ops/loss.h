// Losses over logits [n,classes]; results have shape [] and are means over the batch.
#pragma once
#include <span>

#include "autograd/variable.h"

namespace offramp::ops {

// A part of a loss: of_labels * cross entropy + of_teacher * T^2 KL(softmax(teacher/T) || softmax(logits/T)).
struct LossTerm {
  Variable logits;
  double of_labels = 1, of_teacher = 0;
  Tensor teacher = {};  // logits like these, constants; wanted where of_teacher > 0
};

struct LossOptions {
  double label_smoothing = 0;  // in [0,1): q = (1 - s) onehot(label) + s / classes
  double temperature = 1;      // > 0
};

// The sum of the terms, all over the same samples. labels i64 [n], undefined when no term wants them. Losses
// and gradients of all terms are computed together, on the card in one launch. Throws Error(input) when
// shapes do not fit or, on the host, a label is outside [0,classes). Source of the second part: Hinton,
// Vinyals & Dean 2015.
Variable loss_of(Exec& exec, std::span<const LossTerm> terms, const Tensor& labels,
                 const LossOptions& options = {});

// One term each.
Variable cross_entropy(Exec& exec, const Variable& logits, const Tensor& labels, double label_smoothing = 0);
Variable kl_div(Exec& exec, const Variable& logits, const Tensor& teacher, double temperature = 1);

}  // namespace offramp::ops
