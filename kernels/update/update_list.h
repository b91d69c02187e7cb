// Updates of all parameters at once, on the card: a few launches a step however many tensors there are, and
// nothing that the host has to wait for. What changes from step to step lies in a StepState on the card, so
// that a step can be captured once and replayed.
#pragma once
#include <span>

#include "kernels/cuda/gpu.h"
#include "kernels/exec.h"

namespace offramp::kernels::cuda {

using offramp::cuda::Gpu;

// On the card.
struct StepState {
  float lr;
  float grad_scale;  // what clip_all found: gradients are multiplied by it
  float norm;        // of all gradients in the last step
  float ema_decay;
  float loss_sum, steps;   // since clear_sums
  float not_finite_steps;  // steps whose loss or norm was not finite; such a step updates nothing
};

struct UpdateEntry {
  float* p;
  const float* g;  // null for ema_all
  float* state;    // velocity, first moment, or average
  i64 count;
  float weight_decay = 0;
  float* second = nullptr;  // adamw_all: second moment
  i64* steps = nullptr;     // adamw_all: updates of this parameter
};

void set_step(Gpu& gpu, StepState* state, float lr, float ema_decay);
void clear_sums(Gpu& gpu, StepState* state);
// norm = Euclidean norm of all g; grad_scale = min(1, max_norm / norm), max_norm 0: 1. The loss, one value on
// the card, is counted. Sums in a fixed order.
void clip_all(Exec& exec, std::span<const UpdateEntry> list, float max_norm, const float* loss,
              StepState* state);
// update_call.h's SGD, with the state's learning rate and scale.
void sgd_all(Exec& exec, std::span<const UpdateEntry> list, float momentum, bool nesterov,
             const StepState* state);
// update_call.h's AdamW, likewise; counts each entry's steps.
void adamw_all(Exec& exec, std::span<const UpdateEntry> list, float beta1, float beta2, float eps,
               const StepState* state);
// state = ema_decay * state + (1 - ema_decay) * p
void ema_all(Exec& exec, std::span<const UpdateEntry> list, const StepState* state);

}  // namespace offramp::kernels::cuda
