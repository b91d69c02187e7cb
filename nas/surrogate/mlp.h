// A multilayer perceptron on our own autograd: hidden layers of equal width with ReLU, dropout before the
// output, smooth-L1 loss, Adam, cosine to 0, every epoch one update on the whole training part; the weights
// that did best on the held-back part are kept. The defaults are those of NSGANetV2 (Lu et al. 2020).
#pragma once
#include "nas/surrogate/regressor.h"
#include "tensor/tensor.h"

namespace offramp::nas {

struct MlpOptions {
  i64 width = 300, layers = 3;  // hidden layers, the one behind the input included
  i64 epochs = 2000;
  double lr = 8e-4, dropout = 0.2;
  double train_share = 0.8;  // of the samples; the rest chooses the epoch
  u64 seed = 0;              // of initial weights, split and dropout
};

class Mlp : public Regressor {
 public:
  // Throws Error(usage) on options that make no sense.
  explicit Mlp(const MlpOptions& options = {});
  std::string_view name() const override { return "mlp"; }

  double held_back_loss() const { return held_back_loss_; }  // of the weights kept
  i64 best_epoch() const { return best_epoch_; }             // from 0

 private:
  void learn(Exec& exec, const Matrix& x, std::span<const double> y, const Watch& watch) override;
  std::vector<Estimate> answer(Exec& exec, const Matrix& x, bool spread) const override;

  MlpOptions options_;
  std::vector<Tensor> weights_, biases_;  // [out,in] and [out] per layer, the output last
  double held_back_loss_ = 0;
  i64 best_epoch_ = 0;
};

}  // namespace offramp::nas
