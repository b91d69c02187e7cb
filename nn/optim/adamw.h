// Adam with decoupled weight decay. Source: Loshchilov & Hutter 2019, algorithm 2.
#pragma once
#include "nn/optim/optimizer.h"

namespace offramp::nn {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0.01;  // where has_weight_decay(name)
};

class AdamW : public Optimizer {
 public:
  explicit AdamW(std::vector<NamedParameter> parameters, const AdamWOptions& options = {});
  void step(Exec& exec, double lr, double grad_scale = 1) override;
  void step_on_card(Exec& exec, std::span<const kernels::cuda::UpdateEntry> list,
                    const kernels::cuda::StepState* state) const override;
  StateDict state() const override;  // "<name>.m", "<name>.v" and "<name>.steps" (i64 [1])

 private:
  void add_state(std::size_t index, kernels::cuda::UpdateEntry& entry) override;

  struct Moments {
    Tensor m, v;
    // Updates of this parameter: one that is seldom reached must not be corrected as an old one.
    Tensor steps;
  };
  AdamWOptions options_;
  std::vector<Moments> moments_;
};

}  // namespace offramp::nn
