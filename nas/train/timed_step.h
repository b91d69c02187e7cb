// One step of training over random images, to be timed: forward, the loss of every exit, backward, update.
#pragma once
#include <optional>

#include "nn/network.h"
#include "nn/optim/card_update.h"
#include "nn/optim/sgd.h"

namespace offramp::nas {

class TimedStep {
 public:
  // Computes where `exec` does.
  TimedStep(Exec& exec, const nn::Architecture& architecture, i64 batch);
  void operator()();  // on a card: launches only, so a step can be captured

 private:
  Exec& exec_;
  nn::EarlyExitNetwork network_;
  nn::Sgd optimizer_;
  std::optional<nn::CardUpdate> on_card_;
  Tensor images_, labels_;
};

}  // namespace offramp::nas
