#include "nas/train/trainer.h"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>

#include "kernels/error.h"
#include "nn/checkpoint.h"
#include "nn/optim/ema.h"
#include "nn/optim/schedule.h"
#include "nn/optim/sgd.h"
#include "tensor/safetensors.h"

namespace offramp::nas {
namespace {

// Everything that training changes, as live views by name.
struct State {
  nn::StateDict live;

  void add(const std::string& prefix, const nn::StateDict& part) {
    for (const auto& [name, tensor] : part) live[prefix + name] = tensor;
  }
  void save(const std::string& path, i64 epochs_done) const {
    write_safetensors(path, {live, {{"epochs_done", std::to_string(epochs_done)}}});
  }
  // Epochs done.
  i64 restore(const std::string& path) const {
    const SafeTensors file = read_safetensors(path);
    const auto epochs = file.metadata.find("epochs_done");
    if (epochs == file.metadata.end()) throw input_error(path + ": not a checkpoint of training");
    nn::restore_tensors(live, file.tensors);
    i64 done = 0;
    const char *first = epochs->second.data(), *last = first + epochs->second.size();
    if (const auto [end, error] = std::from_chars(first, last, done);
        error != std::errc() || end != last || done < 0)
      throw input_error(path + ": not a checkpoint of training: epochs_done is '" + epochs->second + "'");
    return done;
  }
};

}  // namespace

Trainer::Trainer(Exec& exec, std::vector<nn::NamedParameter> parameters, TrainOptions options,
                 std::string phase)
    : exec_(exec), parameters_(std::move(parameters)), options_(options), phase_(std::move(phase)) {}

TrainReport Trainer::run(data::Loader& loader, const BatchStep& step, const Watch& watch) {
  const i64 per_epoch = loader.batches(), steps = per_epoch * options_.epochs;
  const nn::CosineSchedule schedule{
      .base = options_.lr, .steps = steps, .warm_up = i64(options_.warmup * double(steps))};
  nn::Sgd optimizer(parameters_, {.momentum = options_.momentum, .weight_decay = options_.weight_decay});
  std::optional<nn::Ema> ema;
  if (options_.ema > 0) ema.emplace(parameters_, std::vector<nn::NamedBuffer>{}, options_.ema);

  State state;
  for (const nn::NamedParameter& p : parameters_) state.live["parameter." + p.name] = p.variable.value();
  state.add("optimizer.", optimizer.state());
  if (ema) state.add("average.", ema->state());

  TrainReport report{.epochs = options_.epochs};
  const bool resumable = !checkpoint_.empty();
  i64 epoch = resumable && std::filesystem::exists(checkpoint_) ? state.restore(checkpoint_) : 0;
  for (i64 done = epoch * per_epoch; epoch < options_.epochs; ++epoch) {
    loader.start(epoch);
    double loss_sum = 0;
    i64 batches = 0;
    for (data::Batch batch; loader.next(batch); ++done, ++batches) {
      watch.check();
      optimizer.zero_grad();
      const double loss = step(batch, done);
      const nn::GradientNorm clip =
          nn::clip_gradients(exec_, parameters_, options_.clip > 0 ? options_.clip : HUGE_VAL);
      if (!std::isfinite(loss) || !std::isfinite(clip.norm))
        throw Error(phase_ + ": training diverged in step " + std::to_string(done) + " (loss " +
                    std::to_string(loss) + "); a smaller learning rate may help");
      optimizer.step(exec_, schedule.at(done), clip.scale);
      if (ema) ema->update(exec_);
      loss_sum += loss;
      watch.progress({.phase = phase_, .done = done + 1, .total = steps, .unit = "step"});
    }
    report.last_loss = loss_sum / double(std::max<i64>(batches, 1));
    if (resumable && epoch + 1 < options_.epochs) state.save(checkpoint_, epoch + 1);
  }
  if (ema) ema->swap();
  return report;
}

}  // namespace offramp::nas
