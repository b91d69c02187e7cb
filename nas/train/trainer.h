// The optimisation loop: epochs of batches, one update a batch, a checkpoint after each epoch.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "data/loader.h"
#include "nas/progress.h"
#include "nn/network.h"

namespace offramp::nas {

struct TrainOptions {
  i64 epochs = 1, batch = 128;
  i64 stop_after = 0;  // epochs after which it stops for now, its state kept in the checkpoint; 0: at the end
  double lr = 0.1;
  bool adamw = false;                          // else SGD with Nesterov's momentum
  double momentum = 0.9, weight_decay = 5e-4;  // momentum: AdamW's beta1
  double warmup = 0.1;    // share of all steps in which the learning rate rises; then a cosine to 0
  double clip = 5;        // global norm of the gradient; 0: none
  bool constant = false;  // after the warm-up the learning rate stays
  double ema = 0;         // decay of averaged weights, which replace the trained ones at the end; 0: none
  u64 seed = 0;
  bool same_steps = false;  // every step makes the same calls: on a card it is captured once and replayed
};

struct TrainReport {
  i64 epochs = 0;
  double last_loss = 0;  // mean of the last epoch
};

// Adds the gradients of one batch to the parameters and returns the loss, a tensor of one value where the
// context computes. `step` counts over all epochs.
using BatchStep = std::function<Tensor(const data::Batch& batch, i64 step)>;

class Trainer {
 public:
  // `parameters` are leaves, in the memory that `exec` computes in. `phase` names the progress bar.
  Trainer(Exec& exec, std::vector<nn::NamedParameter> parameters, TrainOptions options, std::string phase);

  // State is kept in this file after each epoch, and training goes on from it when it exists: the result is
  // the same, bit for bit, as without an interruption. The file is left behind; its owner removes it.
  void keep_checkpoint(std::string path) { checkpoint_ = std::move(path); }
  // Tensors that this training leaves as they are, but that its checkpoint is to hold (live views).
  void keep_too(const std::vector<nn::NamedParameter>& others) { others_ = others; }
  // Called in front of every epoch, the first one after a resumption included.
  void before_epoch(std::function<void(i64 epoch)> prepare) { prepare_ = std::move(prepare); }

  // `total` becomes `before` + steps x `per_step` after each step, those before a resumption included; so it
  // also tells of a training that threw.
  void count_macs(i64 per_step, i64* total, i64 before = 0) {
    macs_per_step_ = per_step, macs_ = total, macs_before_ = before;
  }

  // Throws Error(interrupted) when a stop is asked for, Error(failed) when the loss is not finite.
  TrainReport run(data::BatchSource& loader, const BatchStep& step, const Watch& watch);

 private:
  Exec& exec_;
  std::vector<nn::NamedParameter> parameters_, others_;
  TrainOptions options_;
  std::string phase_, checkpoint_;
  std::function<void(i64)> prepare_;
  i64 macs_per_step_ = 0, macs_before_ = 0;
  i64* macs_ = nullptr;
};

}  // namespace offramp::nas
