#include "nas/train/timed_step.h"

#include "kernels/cuda/built.h"
#include "kernels/cuda/gpu.h"
#include "nn/loss.h"

namespace offramp::nas {
namespace {

constexpr double kRate = 1e-3, kClip = 5;

nn::EarlyExitNetwork fresh_network(const nn::Architecture& architecture, Device device) {
  nn::FreshParameters fresh{Rng(1)};
  if (device == Device::cpu) return nn::EarlyExitNetwork(architecture, fresh);
  nn::ParametersOn source(device, fresh);
  return nn::EarlyExitNetwork(architecture, source);
}

}  // namespace

TimedStep::TimedStep(Exec& exec, const nn::Architecture& a, i64 batch)
    : exec_(exec),
      network_(fresh_network(a, memory_of(exec))),
      optimizer_(network_.named_parameters(), {.momentum = 0.9, .weight_decay = 4e-5}),
      images_(Tensor::empty({batch, a.height, a.width, a.channels})),
      labels_(Tensor::empty({batch}, DType::i64)) {
  Rng rng(1);
  for (float& v : images_.values<float>()) v = rng.uniform(-1, 1);
  for (i64& label : labels_.values<i64>()) label = rng.below(u32(a.classes));
  if (!exec.gpu()) return;
  images_ = images_.to(Device::cuda);
  // Who makes the first activation decides how the others are stored.
  if constexpr (cuda::kBuilt)
    if (exec.math() == cuda::Math::bf16) images_ = images_.to(DType::bf16);
  labels_ = labels_.to(Device::cuda);
  on_card_.emplace(exec, optimizer_, nullptr, kClip);
  on_card_->set_step(kRate);
}

void TimedStep::operator()() {
  optimizer_.zero_grad();
  const Variable loss =
      nn::exit_loss(exec_, network_.forward(exec_, Variable(images_), nn::Mode::train), labels_);
  backward(exec_, loss);
  if (on_card_)
    on_card_->step(loss.value());
  else
    optimizer_.step(exec_, kRate);
}

}  // namespace offramp::nas
