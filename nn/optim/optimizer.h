// What updates parameters from their gradients.
#pragma once
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kernels/update/update_list.h"
#include "nn/layers/layer.h"

namespace offramp::nn {

using StateDict = std::map<std::string, Tensor>;

// Weight decay is for the weights of convolutions and linear layers: not for biases nor for batch norm.
bool has_weight_decay(const std::string& parameter_name);

// Over leaves that are contiguous and of one element type each. Parameters without a gradient are left alone,
// moments included.
class Optimizer {
 public:
  // Throws Error(usage) when a parameter is no f32 or f64 tensor in row-major order.
  explicit Optimizer(std::vector<NamedParameter> parameters);
  virtual ~Optimizer() = default;

  // One update; every gradient is multiplied by grad_scale first (clipping).
  virtual void step(Exec& exec, double lr, double grad_scale = 1) = 0;
  // The same on a card (nn/optim/card_update.h) over entries(), those of parameters that have a gradient; all
  // that changes from step to step lies in `state`.
  virtual void step_on_card(Exec& exec, std::span<const kernels::cuda::UpdateEntry> list,
                            const kernels::cuda::StepState* state) const = 0;
  std::vector<kernels::cuda::UpdateEntry> entries();
  void zero_grad();
  const std::vector<NamedParameter>& parameters() const { return parameters_; }

  // Moments and counters, by name; views of the live state.
  virtual StateDict state() const = 0;
  // Throws Error(input) when something is missing or misshapen; nothing is changed then.
  void load_state(const StateDict& state);

 protected:
  std::vector<NamedParameter> parameters_;

 private:
  // What the rule keeps for parameter `index`, and its weight decay.
  virtual void add_state(std::size_t index, kernels::cuda::UpdateEntry& entry) = 0;
};

// Euclidean norm over all gradients, and the factor that brings it down to max_norm (1 when it is below;
// max_norm 0: no clipping). The factor of a norm that is not finite is NaN: the caller decides what to do
// about it.
struct GradientNorm {
  double norm = 0, scale = 1;
};
GradientNorm clip_gradients(Exec& exec, const std::vector<NamedParameter>& parameters, double max_norm);

}  // namespace offramp::nn
