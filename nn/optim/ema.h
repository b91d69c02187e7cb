// Exponential moving average of the weights.
#pragma once
#include <vector>

#include "kernels/update/update_list.h"
#include "nn/optim/optimizer.h"

namespace offramp::nn {

class Ema {
 public:
  // Starts at the parameters' present values. Buffers (running statistics) are copied, not averaged.
  Ema(std::vector<NamedParameter> parameters, std::vector<NamedBuffer> buffers, double decay);

  // average = d * average + (1 - d) * parameter, d = min(decay, (1 + updates) / (10 + updates)): the first
  // weights are soon forgotten.
  void update(Exec& exec);
  // The same in two parts, for updates on a card: d of the next update, and what it works on.
  double next_decay();
  std::vector<kernels::cuda::UpdateEntry> entries();
  // Exchanges averages and live values: once before an evaluation and once after it.
  void swap();

  // Averages by parameter name, copies by buffer name, "ema.updates" (i64 [1]); views of the live state.
  StateDict state() const;
  void load_state(const StateDict& state);  // throws Error(input) when something is missing or misshapen

 private:
  std::vector<NamedParameter> parameters_;
  std::vector<NamedBuffer> buffers_;
  std::vector<Tensor> averages_, copies_;
  Tensor updates_;
  double decay_;
};

}  // namespace offramp::nn
