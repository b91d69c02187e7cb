#include "nn/optim/ema.h"

#include <algorithm>

#include "kernels/update/update.h"
#include "nn/checkpoint.h"

namespace offramp::nn {
namespace {

template <class T>
void update_average(Exec& exec, double decay, const Tensor& p, Tensor& average) {
  kernels::ema_update(
      exec, kernels::EmaCallT<T>{
                .count = p.count(), .decay = T(decay), .p = p.data<T>(), .average = average.data<T>()});
}

void exchange(Tensor a, Tensor& b) {
  const Tensor kept = a.clone();
  a.copy_from(b);
  b.copy_from(kept);
}

}  // namespace

Ema::Ema(std::vector<NamedParameter> parameters, std::vector<NamedBuffer> buffers, double decay)
    : parameters_(std::move(parameters)),
      buffers_(std::move(buffers)),
      updates_(Tensor::zeros({1}, DType::i64)),
      decay_(decay) {
  for (const NamedParameter& p : parameters_) averages_.push_back(p.variable.value().clone());
  for (const NamedBuffer& b : buffers_) copies_.push_back(b.tensor.clone());
}

double Ema::next_decay() {
  const double updates = double((*updates_.data<i64>())++);
  return std::min(decay_, (1 + updates) / (10 + updates));
}

std::vector<kernels::cuda::UpdateEntry> Ema::entries() {
  std::vector<kernels::cuda::UpdateEntry> list;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Tensor value = parameters_[i].variable.value();
    list.push_back({.p = value.data<float>(),
                    .g = nullptr,
                    .state = averages_[i].data<float>(),
                    .count = value.count()});
  }
  return list;
}

void Ema::update(Exec& exec) {
  const double decay = next_decay();
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor p = parameters_[i].variable.value().contiguous();
    p.dtype() == DType::f64 ? update_average<double>(exec, decay, p, averages_[i])
                            : update_average<float>(exec, decay, p, averages_[i]);
  }
  for (size_t i = 0; i < buffers_.size(); ++i) copies_[i].copy_from(buffers_[i].tensor);
}

void Ema::swap() {
  for (size_t i = 0; i < parameters_.size(); ++i) exchange(parameters_[i].variable.value(), averages_[i]);
  for (size_t i = 0; i < buffers_.size(); ++i) exchange(buffers_[i].tensor, copies_[i]);
}

StateDict Ema::state() const {
  StateDict out{{"ema.updates", updates_}};
  for (size_t i = 0; i < parameters_.size(); ++i) out.emplace(parameters_[i].name, averages_[i]);
  for (size_t i = 0; i < buffers_.size(); ++i) out.emplace(buffers_[i].name, copies_[i]);
  return out;
}

void Ema::load_state(const StateDict& state) { restore_tensors(this->state(), state); }

}  // namespace offramp::nn
