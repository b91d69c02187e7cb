#include "nn/loss.h"

#include <string>

#include "autograd/ops/loss.h"
#include "kernels/error.h"

namespace offramp::nn {

Variable exit_loss(Exec& exec, const std::vector<Variable>& logits, const Tensor& labels,
                   const ExitLossOptions& options, const Tensor& teacher) {
  if (logits.empty() || (!options.weights.empty() && options.weights.size() != logits.size()))
    throw input_error("exit_loss: one weight for each of " + std::to_string(logits.size()) +
                      " exits wanted, got " + std::to_string(options.weights.size()));
  const double d = options.distillation;
  if (!(d >= 0 && d <= 1))
    throw input_error("exit_loss: distillation in [0,1] wanted, got " + std::to_string(d));
  std::vector<ops::LossTerm> terms;
  for (size_t e = 0; e < logits.size(); ++e) {
    const double weight = options.weights.empty() ? 1 : options.weights[e];
    const bool taught = d > 0 && (teacher.defined() || e + 1 < logits.size());
    terms.push_back({.logits = logits[e],
                     .of_labels = taught ? weight * (1 - d) : weight,
                     .of_teacher = taught ? weight * d : 0,
                     .teacher = teacher.defined() ? teacher : logits.back().value()});
  }
  return ops::loss_of(exec, terms, labels,
                      {.label_smoothing = options.label_smoothing, .temperature = options.temperature});
}

double accuracy(const Tensor& logits, const Tensor& labels) {
  if (logits.rank() != 2 || logits.count() == 0 || labels.shape() != Shape{logits.extent(0)})
    throw input_error("accuracy: logits [n,classes] and labels [n] wanted, got " + logits.shape().str() +
                      " and " + labels.shape().str());
  const Tensor wide = logits.to(DType::f64).contiguous();
  const i64 rows = wide.extent(0), classes = wide.extent(1);
  const double* x = wide.data<double>();
  const auto label = labels.values<i64>();
  i64 right = 0;
  for (i64 i = 0; i < rows; ++i) {
    i64 best = 0;
    for (i64 j = 1; j < classes; ++j)
      if (x[i * classes + j] > x[i * classes + best]) best = j;
    right += best == label[size_t(i)];
  }
  return double(right) / double(rows);
}

}  // namespace offramp::nn
