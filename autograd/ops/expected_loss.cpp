#include "autograd/ops/expected_loss.h"

#include <algorithm>
#include <cmath>

#include "autograd/ops/common.h"

namespace offramp::ops {
namespace {

constexpr const char* kOp = "expected_loss";
constexpr double kClamp = 1e-4;

// A batch has a few thousand numbers: plain loops in double, in order, for all terms and gradients at once.
class Loss {
 public:
  Loss(i64 rows, i64 classes, std::size_t exits, const ExpectedLossOptions& options)
      : rows_(rows), classes_(classes), exits_(exits), options_(options) {
    logits.assign(exits, std::vector<double>(std::size_t(rows * classes)));
    confidence.assign(exits - 1, std::vector<double>(std::size_t(rows)));
    logits_gradient = logits;
    confidence_gradient = confidence;
  }

  double compute(const i64* labels) {
    entropy_.assign(exits_, std::vector<double>(std::size_t(rows_)));
    right_.assign(exits_, std::vector<char>(std::size_t(rows_)));
    for (std::size_t e = 0; e < exits_; ++e)
      for (i64 s = 0; s < rows_; ++s) classify(e, s, labels[s]);
    double loss = expect();
    for (std::size_t e = 0; e + 1 < exits_; ++e) loss += be_true(e, labels);
    return loss;
  }

  std::vector<std::vector<double>> logits, confidence;  // [exit][row (x class)]
  std::vector<std::vector<double>> logits_gradient, confidence_gradient;

 private:
  static double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }
  double sure(std::size_t e, i64 s) const {
    return e + 1 < exits_ ? sigmoid(confidence[e][std::size_t(s)]) : 1;
  }

  // Cross entropy of one answer; its gradient, not yet weighted.
  void classify(std::size_t e, i64 s, i64 label) {
    const double* x = logits[e].data() + s * classes_;
    double* g = logits_gradient[e].data() + s * classes_;
    const double* const most = std::max_element(x, x + classes_);  // the first of equals
    right_[e][std::size_t(s)] = most - x == label;
    double sum = 0;
    for (i64 c = 0; c < classes_; ++c) sum += g[c] = std::exp(x[c] - *most);
    const double log_sum = std::log(sum), even = options_.label_smoothing / double(classes_);
    double loss = 0;
    for (i64 c = 0; c < classes_; ++c) {
      const double wanted = even + (c == label ? 1 - options_.label_smoothing : 0);
      loss += wanted * (log_sum - (x[c] - *most));
      g[c] = g[c] / sum - wanted;
    }
    entropy_[e][std::size_t(s)] = loss;
  }

  // What leaving is worth at each exit, and the gradients of both factors.
  double expect() {
    const double n = double(rows_);
    double classes = 0, mean_cost = 0;
    const bool costs = !options_.costs.empty();
    for (i64 s = 0; s < rows_; ++s) {
      double stay = 1;
      for (std::size_t e = 0; e < exits_; ++e) {
        const double c = sure(e, s), p = c * stay;
        classes += p * entropy_[e][std::size_t(s)] / n;
        if (costs) mean_cost += p * options_.costs[e] / n;
        for (i64 k = 0; k < classes_; ++k)
          logits_gradient[e][std::size_t(s * classes_ + k)] *= options_.classes * p / n;
        stay *= 1 - c;
      }
    }
    const double over = costs ? std::max(mean_cost - options_.budget, 0.0) : 0;
    const double slope =
        over > 0 ? options_.cost / std::max(std::fabs(options_.costs.back() - options_.budget), 1e-9) : 0;
    for (i64 s = 0; s < rows_; ++s) {
      const auto worth = [&](std::size_t e) {  // d loss / d p_e
        double w = options_.classes * entropy_[e][std::size_t(s)];
        if (slope > 0 && options_.cost_gradient) w += slope * options_.costs[e];
        return w / n;
      };
      double beyond = worth(exits_ - 1);  // of going on: expected over the exits behind
      for (std::size_t e = exits_ - 1; e-- > 0;) {
        double reached = 1;
        for (std::size_t j = 0; j < e; ++j) reached *= 1 - sure(j, s);
        const double c = sure(e, s), here = worth(e);
        confidence_gradient[e][std::size_t(s)] = reached * (here - beyond) * c * (1 - c);
        beyond = c * here + (1 - c) * beyond;
      }
    }
    return options_.classes * classes + slope * over;
  }

  double be_true(std::size_t e, const i64* labels) {
    const double n = double(rows_), share = 1 / (n * double(exits_ - 1));
    const double hits = double(std::count(right_[e].begin(), right_[e].end(), char(1)));
    double loss = 0;
    for (i64 s = 0; s < rows_; ++s) {
      const double c = sure(e, s), clamped = std::clamp(c, kClamp, 1 - kClamp);
      const bool hit = right_[e][std::size_t(s)];
      double& g = confidence_gradient[e][std::size_t(s)];
      const double weight = options_.truth * share * n / (2 * (hit ? hits : n - hits));
      loss -= weight * std::log(hit ? clamped : 1 - clamped);
      if (clamped == c) g += weight * (c - (hit ? 1 : 0));
      if (options_.peaks.empty()) continue;
      const double off = c - options_.peaks[std::size_t(i64(e) * classes_ + labels[s])];
      loss += options_.peak * share * off * off;
      g += options_.peak * share * 2 * off * c * (1 - c);
    }
    return loss;
  }

  i64 rows_, classes_;
  std::size_t exits_;
  const ExpectedLossOptions& options_;
  std::vector<std::vector<double>> entropy_;  // [exit][row]
  std::vector<std::vector<char>> right_;
};

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
  if (!o.peaks.empty() && i64(o.peaks.size()) != i64(confidence.size()) * classes)
    refuse(kOp, "a peak for each early exit and class", std::to_string(o.peaks.size()));
  if (!(o.label_smoothing >= 0 && o.label_smoothing < 1))
    refuse(kOp, "label smoothing in [0,1)", std::to_string(o.label_smoothing));
  if (labels.dtype() != DType::i64 || labels.shape() != Shape{rows})
    refuse(kOp, "i64 labels [" + std::to_string(rows) + "]", labels.shape().str());
  if (first.device() == Device::cuda)
    throw usage_error("the loss of learned confidences is computed on the CPU only: use --device cpu");
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
  Tensor loss = Tensor::empty({}, first.dtype(), device);
  std::vector<Tensor> gradients;
  for (const Variable& v : inputs)
    gradients.push_back(v.requires_grad() ? Tensor::empty(v.shape(), first.dtype(), device) : Tensor());
  if (!is_dry(exec)) {
    const Tensor target = packed(labels);
    const i64 rows = first.extent(0), classes = first.extent(1);
    for (i64 label : target.values<i64>())
      if (label < 0 || label >= classes)
        refuse(kOp, "labels in 0.." + std::to_string(classes - 1), std::to_string(label));
    Loss all(rows, classes, logits.size(), options);
    dispatch_real(kOp, first, [&](auto zero) {
      using T = decltype(zero);
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        const Tensor x = packed(inputs[i].value());
        std::copy_n(std::as_const(x).template data<T>(), x.count(),
                    i < logits.size() ? all.logits[i].begin() : all.confidence[i - logits.size()].begin());
      }
      loss.data<T>()[0] = T(all.compute(target.data<i64>()));
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (!gradients[i].defined()) continue;
        const auto& from =
            i < logits.size() ? all.logits_gradient[i] : all.confidence_gradient[i - logits.size()];
        std::copy(from.begin(), from.end(), gradients[i].template data<T>());
      }
    });
  }
  if (!needs) return Variable(loss);
  return Variable::result(loss, std::move(inputs), [gradients = std::move(gradients)](Backward& back) {
    const double upstream = back.gy_is_one() || is_dry(back.exec()) ? 1.0 : back.gy().item();
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (!back.wants(i)) continue;
      Tensor g = gradients[i];
      if (upstream != 1)
        dispatch_real(kOp, g, [&](auto zero) {
          using T = decltype(zero);
          for (T& v : g.template values<T>()) v = T(double(v) * upstream);
        });
      back.add(i, std::move(g));
    }
  });
}

}  // namespace offramp::ops
