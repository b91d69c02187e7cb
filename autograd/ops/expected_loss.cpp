#include "autograd/ops/expected_loss.h"

#include "autograd/ops/common.h"
#include "kernels/expected_loss/expected_loss.h"

namespace offramp::ops {
namespace {

constexpr const char* kOp = "expected_loss";

void require(const std::vector<Variable>& logits, const std::vector<Variable>& confidence,
             const Tensor& labels, const ExpectedLossOptions& o) {
  if (logits.empty() || confidence.size() + 1 != logits.size())
    refuse(kOp, "logits of one exit more than there are confidences",
           std::to_string(logits.size()) + " and " + std::to_string(confidence.size()));
  const Tensor& first = logits[0].value();
  require_rank(kOp, "logits [n,classes]", first, 2);
  if (first.count() == 0) refuse(kOp, "at least one sample and class", first.shape().str());
  const i64 rows = first.extent(0), classes = first.extent(1);
  for (const Variable& v : logits)
    if (v.shape() != first.shape()) refuse(kOp, "logits of shape " + first.shape().str(), v.shape().str());
  for (const Variable& v : confidence)
    if (v.shape() != Shape{rows, 1})
      refuse(kOp, "confidences [" + std::to_string(rows) + ",1]", v.shape().str());
  if (!o.costs.empty() && o.costs.size() != logits.size())
    refuse(kOp, "a cost for each of " + std::to_string(logits.size()) + " exits",
           std::to_string(o.costs.size()));
  if (o.peaks.defined() &&
      (o.peaks.dtype() != DType::f64 || o.peaks.shape() != Shape{i64(confidence.size()), classes}))
    refuse(kOp, "f64 peaks for each early exit and class", o.peaks.shape().str());
  if (i64(logits.size()) > kernels::kMostExits)
    refuse(kOp, "at most " + std::to_string(kernels::kMostExits) + " exits", std::to_string(logits.size()));
  if (!(o.label_smoothing >= 0 && o.label_smoothing < 1))
    refuse(kOp, "label smoothing in [0,1)", std::to_string(o.label_smoothing));
  if (labels.dtype() != DType::i64 || labels.shape() != Shape{rows})
    refuse(kOp, "i64 labels [" + std::to_string(rows) + "]", labels.shape().str());
}

}  // namespace

Variable expected_loss(Exec& exec, const std::vector<Variable>& logits,
                       const std::vector<Variable>& confidence, const Tensor& labels,
                       const ExpectedLossOptions& options) {
  require(logits, confidence, labels, options);
  const Tensor& first = logits[0].value();
  std::vector<Variable> inputs = logits;
  inputs.insert(inputs.end(), confidence.begin(), confidence.end());
  Device device = first.device();
  bool needs = false;
  for (const Variable& v : inputs) {
    if (common_device(kOp, exec, {&first, &v.value()}) == Device::meta) device = Device::meta;
    needs = needs || v.requires_grad();
  }
  Tensor loss = Tensor::empty({}, param_dtype(first.dtype()), device);
  std::vector<Tensor> values, gradients;
  for (const Variable& v : inputs) {
    values.push_back(packed(v.value()));
    gradients.push_back(v.requires_grad() ? Tensor::empty(v.shape(), first.dtype(), device) : Tensor());
  }
  if (!is_dry(exec)) {
    const Tensor target = packed(labels);
    const i64 rows = first.extent(0), classes = first.extent(1);
    if (device == Device::cpu)
      for (i64 label : target.values<i64>())
        if (label < 0 || label >= classes)
          refuse(kOp, "labels in 0.." + std::to_string(classes - 1), std::to_string(label));
    dispatch(kOp, first, [&](auto zero) {
      using T = decltype(zero);
      kernels::ExpectedLossCallT<T> call{.rows = rows,
                                         .classes = classes,
                                         .exits = int(logits.size()),
                                         .exit = {},
                                         .target = target.data<i64>(),
                                         .of_classes = options.classes,
                                         .of_truth = options.truth,
                                         .of_peak = options.peak,
                                         .of_cost = options.costs.empty() ? 0 : options.cost,
                                         .label_smoothing = options.label_smoothing,
                                         .budget = options.budget,
                                         .cost_gradient = options.cost_gradient,
                                         .peaks = data_or_null<double>(options.peaks),
                                         .loss = loss.data<ParamOf<T>>()};
      const auto gradient = [&](size_t i) {
        return gradients[i].defined() ? gradients[i].template data<T>() : nullptr;
      };
      for (size_t e = 0; e < logits.size(); ++e) {
        const size_t own = logits.size() + e;
        kernels::ExpectedExitT<T>& exit = call.exit[e];
        exit.x = data_or_null<T>(values[e]), exit.gx = gradient(e);
        if (own < inputs.size()) exit.own = data_or_null<T>(values[own]), exit.gown = gradient(own);
        if (!options.costs.empty()) exit.cost = options.costs[e];
      }
      kernels::expected_loss(exec, call);
    });
  }
  if (!needs) return Variable(loss);
  return Variable::result(loss, std::move(inputs), [gradients = std::move(gradients)](Backward& back) {
    for (size_t i = 0; i < gradients.size(); ++i)
      if (back.wants(i)) back.add(i, times_upstream(back, gradients[i]));
  });
}

}  // namespace offramp::ops
