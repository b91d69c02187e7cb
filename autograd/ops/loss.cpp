#include "autograd/ops/loss.h"

#include <vector>

#include "autograd/ops/common.h"
#include "kernels/softmax/softmax.h"

namespace offramp::ops {
namespace {

void require_logits(const char* op, const Tensor& logits) {
  require_rank(op, "logits [n,classes]", logits, 2);
  if (logits.count() == 0) refuse(op, "at least one sample and class", logits.shape().str());
}

void require_labels(const char* op, const Tensor& labels, i64 rows, i64 classes) {
  if (labels.dtype() != DType::i64 || labels.shape() != Shape{rows})
    refuse(op, "i64 labels [" + std::to_string(rows) + "]",
           std::string(dtype_name(labels.dtype())) + " " + labels.shape().str());
  if (labels.device() == Device::meta) return;
  const i64* label = labels.data<i64>();
  for (i64 i = 0; i < rows; ++i)
    if (label[i] < 0 || label[i] >= classes)
      refuse(op, "labels in 0.." + std::to_string(classes - 1),
             std::to_string(label[i]) + " for sample " + std::to_string(i));
}

// The gradient of a scalar loss; there is none to read when nothing was computed.
double scalar(const Exec& exec, const Tensor& gy) { return is_dry(exec) ? 1.0 : gy.item(); }

}  // namespace

Variable cross_entropy(Exec& exec, const Variable& logits, const Tensor& labels, double label_smoothing) {
  constexpr const char* kOp = "cross_entropy";
  const Tensor x = packed(logits.value());
  require_logits(kOp, x);
  const i64 rows = x.extent(0), classes = x.extent(1);
  const Tensor target = packed(labels);
  require_labels(kOp, target, rows, classes);
  if (!(label_smoothing >= 0 && label_smoothing < 1))
    refuse(kOp, "label smoothing in [0,1)", std::to_string(label_smoothing));
  Tensor loss = Tensor::empty({}, x.dtype(), common_device(kOp, exec, {&x}));
  dispatch(kOp, x, [&](auto zero) {
    using T = decltype(zero);
    kernels::cross_entropy(exec, kernels::CrossEntropyCallT<T>{.rows = rows,
                                                               .classes = classes,
                                                               .label_smoothing = T(label_smoothing),
                                                               .x = x.data<T>(),
                                                               .target = target.data<i64>(),
                                                               .loss = loss.data<T>()});
  });
  if (!needs_gradient({&logits})) return Variable(loss);
  return Variable::result(loss, {logits}, [=](Backward& back) {
    Tensor gx = Tensor::empty(x.shape(), x.dtype(), back.gy().device());
    dispatch(kOp, x, [&](auto zero) {
      using T = decltype(zero);
      kernels::cross_entropy(back.exec(),
                             kernels::CrossEntropyCallT<T>{.rows = rows,
                                                           .classes = classes,
                                                           .label_smoothing = T(label_smoothing),
                                                           .x = x.data<T>(),
                                                           .target = target.data<i64>(),
                                                           .loss = nullptr,
                                                           .upstream = T(scalar(back.exec(), back.gy())),
                                                           .gx = gx.data<T>()});
    });
    back.add(0, std::move(gx));
  });
}

Variable kl_div(Exec& exec, const Variable& logits, const Tensor& teacher, double temperature) {
  constexpr const char* kOp = "kl_div";
  const Tensor x = packed(logits.value()), t = packed(teacher);
  require_logits(kOp, x);
  if (t.shape() != x.shape()) refuse(kOp, "teacher logits " + x.shape().str(), t.shape().str());
  if (!(temperature > 0)) refuse(kOp, "temperature > 0", std::to_string(temperature));
  const i64 rows = x.extent(0), classes = x.extent(1);
  Tensor loss = Tensor::empty({}, x.dtype(), common_device(kOp, exec, {&x, &t}));
  dispatch(kOp, x, [&](auto zero) {
    using T = decltype(zero);
    kernels::kl_div(exec, kernels::KlDivCallT<T>{.rows = rows,
                                                 .classes = classes,
                                                 .temperature = T(temperature),
                                                 .x = x.data<T>(),
                                                 .teacher = t.data<T>(),
                                                 .loss = loss.data<T>()});
  });
  if (!needs_gradient({&logits})) return Variable(loss);
  return Variable::result(loss, {logits}, [=](Backward& back) {
    Tensor gx = Tensor::empty(x.shape(), x.dtype(), back.gy().device());
    dispatch(kOp, x, [&](auto zero) {
      using T = decltype(zero);
      kernels::kl_div(back.exec(), kernels::KlDivCallT<T>{.rows = rows,
                                                          .classes = classes,
                                                          .temperature = T(temperature),
                                                          .x = x.data<T>(),
                                                          .teacher = t.data<T>(),
                                                          .loss = nullptr,
                                                          .upstream = T(scalar(back.exec(), back.gy())),
                                                          .gx = gx.data<T>()});
    });
    back.add(0, std::move(gx));
  });
}

Variable weighted_sum(Exec& exec, std::span<const Variable> terms, std::span<const double> weights) {
  constexpr const char* kOp = "weighted_sum";
  if (terms.empty() || terms.size() != weights.size())
    refuse(kOp, "as many weights as terms, at least one",
           std::to_string(terms.size()) + " terms, " + std::to_string(weights.size()) + " weights");
  const Tensor& first = terms[0].value();
  Device device = first.device();
  bool needs = false;
  for (const Variable& term : terms) {
    if (term.shape() != first.shape())
      refuse(kOp, "terms of shape " + first.shape().str(), term.shape().str());
    if (common_device(kOp, exec, {&first, &term.value()}) == Device::meta) device = Device::meta;
    needs = needs || term.requires_grad();
  }
  Tensor sum = Tensor::empty(first.shape(), first.dtype(), device);
  // A handful of scalars: not worth a kernel family.
  if (!is_dry(exec))
    dispatch(kOp, first, [&](auto zero) {
      using T = decltype(zero);
      T* out = sum.data<T>();
      for (i64 i = 0; i < sum.count(); ++i) out[i] = T(0);
      for (size_t k = 0; k < terms.size(); ++k) {
        const Tensor term = packed(terms[k].value());
        const T* in = term.data<T>();
        for (i64 i = 0; i < sum.count(); ++i) out[i] += T(weights[k]) * in[i];
      }
    });
  if (!needs) return Variable(sum);
  return Variable::result(sum, {terms.begin(), terms.end()},
                          [w = std::vector<double>(weights.begin(), weights.end())](Backward& back) {
                            const Tensor& gy = back.gy();
                            for (size_t k = 0; k < w.size(); ++k) {
                              if (!back.wants(k)) continue;
                              Tensor g = Tensor::empty(gy.shape(), gy.dtype(), gy.device());
                              if (!is_dry(back.exec()))
                                dispatch(kOp, gy, [&](auto zero) {
                                  using T = decltype(zero);
                                  const T* in = gy.data<T>();
                                  T* out = g.data<T>();
                                  for (i64 i = 0; i < g.count(); ++i) out[i] = T(w[k]) * in[i];
                                });
                              back.add(k, std::move(g));
                            }
                          });
}

}  // namespace offramp::ops
