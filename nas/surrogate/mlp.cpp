#include "nas/surrogate/mlp.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "autograd/ops.h"
#include "kernels/error.h"
#include "kernels/rng.h"
#include "nn/optim/adamw.h"
#include "nn/optim/schedule.h"

namespace offramp::nas {
namespace {

// What a stream of random numbers serves.
enum Stream : u64 { kSplit, kWeights, kDropout };

Tensor tensor_of(const Matrix& m, std::span<const i64> rows) {
  Tensor t = Tensor::empty({i64(rows.size()), m.cols});
  float* to = t.data<float>();
  for (i64 row : rows)
    for (i64 j = 0; j < m.cols; ++j) *to++ = float(m.at(row, j));
  return t;
}

Tensor column_of(std::span<const double> y, std::span<const i64> rows) {
  Tensor t = Tensor::empty({i64(rows.size()), 1});
  float* to = t.data<float>();
  for (i64 row : rows) *to++ = float(y[std::size_t(row)]);
  return t;
}

// 0 with probability `rate` (to 16 bits), else 1 / (1 - rate).
Tensor dropout_mask(const Shape& shape, double rate, Rng rng) {
  Tensor mask = Tensor::empty(shape);
  const u32 dropped = u32(rate * 65536);
  const float kept = float(1 / (1 - rate));
  float* m = mask.data<float>();
  for (i64 i = 0; i < mask.count(); i += 2) {
    const u32 bits = rng.next_u32();
    m[i] = (bits & 0xFFFF) < dropped ? 0.f : kept;
    if (i + 1 < mask.count()) m[i + 1] = (bits >> 16) < dropped ? 0.f : kept;
  }
  return mask;
}

using Layers = std::vector<nn::NamedParameter>;  // weight and bias by turns

// mask: of the dropout before the output layer, undefined for none.
Variable forward(Exec& exec, const Layers& layers, Variable x, const Tensor& mask) {
  for (std::size_t i = 0; i < layers.size(); i += 2) {
    const bool output = i + 2 == layers.size();
    if (output && mask.defined()) x = ops::mul(exec, x, Variable(mask));
    x = ops::linear(exec, x, layers[i].variable, layers[i + 1].variable);
    if (!output) x = ops::activation(exec, x, Act::relu);
  }
  return x;
}

Layers constants(const Layers& layers) {
  Layers out;
  for (const nn::NamedParameter& p : layers) out.push_back({p.name, p.variable.detach()});
  return out;
}

}  // namespace

Mlp::Mlp(const MlpOptions& options) : options_(options) {
  if (options.width < 1 || options.layers < 1 || options.epochs < 1 || !(options.lr > 0) ||
      !(options.dropout >= 0 && options.dropout < 1) || !(options.train_share > 0 && options.train_share < 1))
    throw usage_error(
        "surrogate mlp: wanted width, layers, epochs >= 1, lr > 0, dropout in [0,1) and "
        "train_share in (0,1)");
}

void Mlp::learn(Exec& exec, const Matrix& x, std::span<const double> y, const Watch& watch) {
  const Rng root(options_.seed);
  std::vector<i64> order(static_cast<std::size_t>(x.rows));
  std::iota(order.begin(), order.end(), i64{0});
  Rng rng = root.derive(kSplit);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(u32(i))]);
  const std::size_t held_in =
      std::size_t(std::clamp<i64>(i64(double(x.rows) * options_.train_share), 1, x.rows - 1));
  const std::span<const i64> train(order.data(), held_in),
      held(order.data() + held_in, order.size() - held_in);
  const Variable inputs(tensor_of(x, train)), held_inputs(tensor_of(x, held));
  const Tensor targets = column_of(y, train), held_targets = column_of(y, held);

  // Weights uniform in +-1/sqrt(inputs), biases 0.
  Layers layers;
  rng = root.derive(kWeights);
  for (i64 layer = 0; layer <= options_.layers; ++layer) {
    const i64 in = layer == 0 ? x.cols : options_.width, out = layer == options_.layers ? 1 : options_.width;
    Tensor weight = Tensor::empty({out, in});
    const float bound = float(1 / std::sqrt(double(in)));
    for (float& w : weight.values<float>()) w = rng.uniform(-bound, bound);
    const std::string name = "layer" + std::to_string(layer);
    layers.push_back({name + ".weight", Variable(std::move(weight), true)});
    layers.push_back({name + ".bias", Variable(Tensor::zeros({out}), true)});
  }

  nn::AdamW adam(layers, {.weight_decay = 0});
  const nn::CosineSchedule schedule{.base = options_.lr, .steps = options_.epochs};
  std::vector<Tensor> best(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) best[i] = Tensor::empty(layers[i].variable.shape());
  held_back_loss_ = std::numeric_limits<double>::infinity();
  for (i64 epoch = 0; epoch < options_.epochs; ++epoch) {
    watch.check();
    Tensor mask;
    if (options_.dropout > 0)
      mask =
          dropout_mask({i64(held_in), options_.width}, options_.dropout, root.derive(kDropout, u64(epoch)));
    const Variable loss = ops::smooth_l1(exec, forward(exec, layers, inputs, mask), targets);
    backward(exec, loss);
    adam.step(exec, schedule.at(epoch));
    adam.zero_grad();
    const double held_loss =
        ops::smooth_l1(exec, forward(exec, constants(layers), held_inputs, {}), held_targets).value().item();
    if (!(held_loss < held_back_loss_)) continue;
    held_back_loss_ = held_loss;
    best_epoch_ = epoch;
    for (std::size_t i = 0; i < layers.size(); ++i) best[i].copy_from(layers[i].variable.value());
  }
  if (!std::isfinite(held_back_loss_)) throw Error("surrogate mlp: training diverged in the first epoch");
  weights_.clear();
  biases_.clear();
  for (std::size_t i = 0; i < best.size(); i += 2) {
    weights_.push_back(std::move(best[i]));
    biases_.push_back(std::move(best[i + 1]));
  }
}

std::vector<Estimate> Mlp::answer(Exec& exec, const Matrix& x, bool) const {
  Layers layers;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    layers.push_back({"", Variable(weights_[i])});
    layers.push_back({"", Variable(biases_[i])});
  }
  std::vector<i64> rows(static_cast<std::size_t>(x.rows));
  std::iota(rows.begin(), rows.end(), i64{0});
  const Tensor y = forward(exec, layers, Variable(tensor_of(x, rows)), {}).value();
  std::vector<Estimate> out;
  for (float v : y.values<float>()) out.push_back({double(v), std::numeric_limits<double>::quiet_NaN()});
  return out;
}

}  // namespace offramp::nas
