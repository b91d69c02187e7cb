#include "autograd/ops/loss.h"

#include <vector>

#include "autograd/ops/common.h"
#include "kernels/exit_loss/exit_loss.h"

namespace offramp::ops {
namespace {

void require_labels(const char* op, const Tensor& labels, i64 rows, i64 classes) {
  if (labels.dtype() != DType::i64 || labels.shape() != Shape{rows})
    refuse(op, "i64 labels [" + std::to_string(rows) + "]",
           std::string(dtype_name(labels.dtype())) + " " + labels.shape().str());
  if (labels.device() != Device::cpu) return;
  const i64* label = labels.data<i64>();
  for (i64 i = 0; i < rows; ++i)
    if (label[i] < 0 || label[i] >= classes)
      refuse(op, "labels in 0.." + std::to_string(classes - 1),
             std::to_string(label[i]) + " for sample " + std::to_string(i));
}

Variable compute(Exec& exec, const char* op, std::span<const LossTerm> terms, const Tensor& labels,
                 const LossOptions& options) {
  if (terms.empty() || i64(terms.size()) > kernels::kMostExits)
    refuse(op, "1 to " + std::to_string(kernels::kMostExits) + " terms", std::to_string(terms.size()));
  if (!(options.label_smoothing >= 0 && options.label_smoothing < 1))
    refuse(op, "label smoothing in [0,1)", std::to_string(options.label_smoothing));
  if (!(options.temperature > 0)) refuse(op, "temperature > 0", std::to_string(options.temperature));
  const Tensor& first = terms[0].logits.value();
  require_rank(op, "logits [n,classes]", first, 2);
  if (first.count() == 0) refuse(op, "at least one sample and class", first.shape().str());
  const i64 rows = first.extent(0), classes = first.extent(1);
  const Tensor target = packed(labels);
  Device device = first.device();
  bool needs = false, wants_labels = false;
  std::vector<Tensor> logits, teachers, gradients;
  std::vector<Variable> inputs;
  for (const LossTerm& term : terms) {
    const Tensor& x = logits.emplace_back(packed(term.logits.value()));
    if (x.shape() != first.shape()) refuse(op, "logits of shape " + first.shape().str(), x.shape().str());
    const Tensor& t = teachers.emplace_back(term.of_teacher > 0 ? packed(term.teacher) : Tensor());
    if (term.of_teacher > 0 && (!t.defined() || t.shape() != x.shape()))
      refuse(op, "teacher logits " + x.shape().str(), t.defined() ? t.shape().str() : "none");
    if (common_device(op, exec, {&first, &x, &t}) == Device::meta) device = Device::meta;
    wants_labels = wants_labels || term.of_labels != 0 || !(term.of_teacher > 0);
    needs = needs || term.logits.requires_grad();
    gradients.push_back(term.logits.requires_grad() ? Tensor::empty(x.shape(), x.dtype(), x.device())
                                                    : Tensor());
    inputs.push_back(term.logits);
  }
  if (wants_labels) {
    if (!target.defined()) refuse(op, "labels", "none");
    require_labels(op, target, rows, classes);
  }
  Tensor loss = Tensor::empty({}, param_dtype(first.dtype()), device);
  dispatch(op, first, [&](auto zero) {
    using T = decltype(zero);
    using P = ParamOf<T>;
    kernels::ExitLossCallT<T> call{.rows = rows,
                                   .classes = classes,
                                   .exits = int(terms.size()),
                                   .exit = {},
                                   .target = wants_labels ? target.data<i64>() : nullptr,
                                   .label_smoothing = P(options.label_smoothing),
                                   .temperature = P(options.temperature),
                                   .loss = loss.data<P>()};
    for (size_t k = 0; k < terms.size(); ++k)
      call.exit[k] = {.x = std::as_const(logits[k]).template data<T>(),
                      .teacher = data_or_null<T>(teachers[k]),
                      .of_labels = P(terms[k].of_labels),
                      .of_teacher = P(terms[k].of_teacher),
                      .gx = gradients[k].defined() ? gradients[k].template data<T>() : nullptr};
    kernels::exit_loss(exec, call);
  });
  if (!needs) return Variable(loss);
  return Variable::result(loss, std::move(inputs), [gradients = std::move(gradients)](Backward& back) {
    for (size_t k = 0; k < gradients.size(); ++k)
      if (back.wants(k)) back.add(k, times_upstream(back, gradients[k]));
  });
}

}  // namespace

Variable loss_of(Exec& exec, std::span<const LossTerm> terms, const Tensor& labels,
                 const LossOptions& options) {
  return compute(exec, "loss", terms, labels, options);
}

Variable cross_entropy(Exec& exec, const Variable& logits, const Tensor& labels, double label_smoothing) {
  const LossTerm term{.logits = logits};
  return compute(exec, "cross_entropy", {&term, 1}, labels, {.label_smoothing = label_smoothing});
}

Variable kl_div(Exec& exec, const Variable& logits, const Tensor& teacher, double temperature) {
  const LossTerm term{.logits = logits, .of_labels = 0, .of_teacher = 1, .teacher = teacher};
  return compute(exec, "kl_div", {&term, 1}, {}, {.temperature = temperature});
}

}  // namespace offramp::ops
