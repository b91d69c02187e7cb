#include "nn/optim/card_update.h"

#include <cstring>

#include "kernels/cuda/built.h"
#include "kernels/error.h"
#include "kernels/update/update_list.h"

namespace offramp::nn {
namespace {

using kernels::cuda::StepState;
using kernels::cuda::UpdateEntry;

StepState* on_card(Tensor& state) { return reinterpret_cast<StepState*>(state.data<float>()); }

}  // namespace

CardUpdate::CardUpdate(Exec& exec, Optimizer& optimizer, Ema* ema, double clip)
    : exec_(exec),
      optimizer_(optimizer),
      ema_(ema),
      clip_(clip),
      state_(Tensor::zeros({i64(sizeof(StepState) / sizeof(float))}, DType::f32, Device::cuda)) {
  if (!exec.gpu()) throw Error("card_update: the context computes on the host");
}

void CardUpdate::start_epoch() {
  if constexpr (cuda::kBuilt) kernels::cuda::clear_sums(*exec_.gpu(), on_card(state_));
}

void CardUpdate::set_step(double lr) {
  const double decay = ema_ ? ema_->next_decay() : 0;
  if constexpr (cuda::kBuilt) kernels::cuda::set_step(*exec_.gpu(), on_card(state_), float(lr), float(decay));
}

void CardUpdate::step(const Tensor& loss) {
  if constexpr (cuda::kBuilt) {
    const auto list = optimizer_.entries();
    kernels::cuda::clip_all(exec_, list, float(clip_), loss.data<float>(), on_card(state_));
    optimizer_.step_on_card(exec_, list, on_card(state_));
    if (ema_) kernels::cuda::ema_all(exec_, ema_->entries(), on_card(state_));
  }
}

CardUpdate::Sums CardUpdate::read() const {
  const Tensor host = state_.to(Device::cpu);
  StepState s;
  std::memcpy(&s, host.data<float>(), sizeof s);
  return {s.loss_sum, s.steps, s.not_finite_steps};
}

}  // namespace offramp::nn
