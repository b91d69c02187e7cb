// Stochastic gradient descent with momentum. Formula: kernels/update/update_call.h.
#pragma once
#include "nn/optim/optimizer.h"

namespace offramp::nn {

struct SgdOptions {
  double momentum = 0.9;
  double weight_decay = 0;  // where has_weight_decay(name)
  bool nesterov = true;
};

class Sgd : public Optimizer {
 public:
  explicit Sgd(std::vector<NamedParameter> parameters, const SgdOptions& options = {});
  void step(Exec& exec, double lr, double grad_scale = 1) override;
  void step_on_card(Exec& exec, std::span<const kernels::cuda::UpdateEntry> list,
                    const kernels::cuda::StepState* state) const override;
  StateDict state() const override;  // "<name>.velocity"

 private:
  void add_state(std::size_t index, kernels::cuda::UpdateEntry& entry) override;

  SgdOptions options_;
  std::vector<Tensor> velocity_;
};

}  // namespace offramp::nn
