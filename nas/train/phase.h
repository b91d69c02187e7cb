// One phase of a network's training: which part moves, for how long, on which loss.
#pragma once
#include <optional>
#include <string>

#include "autograd/ops/expected_loss.h"
#include "nas/train/support.h"
#include "nn/loss.h"

namespace offramp::nas {

struct Phase {
  Part part;
  i64 epochs;
  std::string name, checkpoint;
  i64 macs_before = 0;  // spent by the phase before
};

// The loss of a batch, and what has to be done for it in front of an epoch. The arguments must outlive it.
class PhaseLoss {
 public:
  PhaseLoss(Exec& exec, nn::EarlyExitNetwork& network, const TrainingData& data, const SearchConfig& config,
            const Regime& regime, const Phase& phase, u64 seed);

  // Without the support set, where there is one.
  TrainingData training() const {
    return {support_ ? support_->train : data_.train, data_.normalisation, data_.teacher};
  }

  void before_epoch(i64 epoch);
  Variable operator()(const data::Batch& batch);

 private:
  Tensor taught(const data::Batch& batch);  // the teacher's logits; undefined without one

  Exec& exec_;
  nn::EarlyExitNetwork& network_;
  const TrainingData& data_;
  const SearchConfig& config_;
  const Regime& regime_;
  const Phase& phase_;
  nn::ExitLossOptions plain_;
  std::optional<ops::ExpectedLossOptions> expected_;
  std::optional<SupportSplit> support_;
  bool frozen_ = false;  // the backbone has the statistics that it keeps
};

}  // namespace offramp::nas
