#include "nas/train/trainer.h"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <type_traits>

#include "kernels/cuda/built.h"
#include "kernels/cuda/gpu.h"
#include "kernels/error.h"
#include "nn/checkpoint.h"
#include "nn/optim/adamw.h"
#include "nn/optim/card_update.h"
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
  // Epochs done; 0, with nothing restored, when they are more than `most`.
  i64 restore(const std::string& path, i64 most) const {
    const SafeTensors file = read_safetensors(path);
    const auto epochs = file.metadata.find("epochs_done");
    if (epochs == file.metadata.end()) throw input_error(path + ": not a checkpoint of training");
    i64 done = 0;
    const char *first = epochs->second.data(), *last = first + epochs->second.size();
    if (const auto [end, error] = std::from_chars(first, last, done);
        error != std::errc() || end != last || done < 0)
      throw input_error(path + ": not a checkpoint of training: epochs_done is '" + epochs->second + "'");
    if (done > most) return 0;
    nn::restore_tensors(live, file.tensors);
    return done;
  }
};

// What is done with a batch, on the host or on a card.
class Update {
 public:
  virtual ~Update() = default;
  virtual void start_epoch() = 0;
  virtual void apply(const data::Batch& batch, i64 step, double lr) = 0;
  virtual double mean_loss() = 0;  // of the epoch
};

[[noreturn]] void diverged(const std::string& phase, const std::string& where) {
  throw Error(phase + ": training diverged in " + where + "; a smaller learning rate may help");
}

class HostUpdate : public Update {
 public:
  HostUpdate(Exec& exec, nn::Optimizer& optimizer, nn::Ema* ema, const TrainOptions& options,
             const BatchStep& step, const std::string& phase)
      : exec_(exec), optimizer_(optimizer), ema_(ema), options_(options), step_(step), phase_(phase) {}
  void start_epoch() override { loss_sum_ = 0, batches_ = 0; }
  void apply(const data::Batch& batch, i64 step, double lr) override {
    optimizer_.zero_grad();
    const double loss = step_(batch, step).item();
    const nn::GradientNorm clip =
        nn::clip_gradients(exec_, optimizer_.parameters(), options_.clip > 0 ? options_.clip : HUGE_VAL);
    if (!std::isfinite(loss) || !std::isfinite(clip.norm))
      diverged(phase_, "step " + std::to_string(step) + " (loss " + std::to_string(loss) + ")");
    optimizer_.step(exec_, lr, clip.scale);
    if (ema_) ema_->update(exec_);
    loss_sum_ += loss;
    ++batches_;
  }
  double mean_loss() override { return loss_sum_ / double(std::max<i64>(batches_, 1)); }

 private:
  Exec& exec_;
  nn::Optimizer& optimizer_;
  nn::Ema* ema_;
  const TrainOptions& options_;
  const BatchStep& step_;
  const std::string& phase_;
  double loss_sum_ = 0;
  i64 batches_ = 0;
};

class CardUpdate : public Update {
 public:
  CardUpdate(Exec& exec, nn::Optimizer& optimizer, nn::Ema* ema, const TrainOptions& options,
             const BatchStep& step, const std::string& phase)
      : exec_(exec),
        optimizer_(optimizer),
        same_steps_(options.same_steps),
        step_(step),
        phase_(phase),
        update_(exec, optimizer, ema, options.clip) {}
  ~CardUpdate() override { optimizer_.zero_grad(); }  // before the memory that a graph keeps them in
  void start_epoch() override { update_.start_epoch(); }
  void apply(const data::Batch& batch, i64 step, double lr) override {
    update_.set_step(lr);
    const auto one = [&] {
      optimizer_.zero_grad();
      update_.step(step_(batch, step));
    };
    // The first steps find the memory that they need; then the step is captured.
    constexpr i64 kEager = 2;
    if (!same_steps_ || steps_++ < kEager) return one();
    if constexpr (cuda::kBuilt) {
      if (!graph_) graph_.emplace(*exec_.gpu(), one);
      graph_->launch();
    }
  }
  double mean_loss() override {
    const nn::CardUpdate::Sums sums = update_.read();
    if (sums.not_finite > 0) diverged(phase_, "an epoch of " + std::to_string(i64(sums.steps)) + " steps");
    return sums.loss / std::max(sums.steps, 1.0);
  }

 private:
  // Stands for cuda::Graph where the build has none.
  struct NoGraph {
    template <class... A>
    explicit NoGraph(A&&...) {}
    void launch() {}
  };
  Exec& exec_;
  nn::Optimizer& optimizer_;
  bool same_steps_;
  const BatchStep& step_;
  const std::string& phase_;
  nn::CardUpdate update_;
  i64 steps_ = 0;
  std::optional<std::conditional_t<cuda::kBuilt, cuda::Graph, NoGraph>> graph_;
};

std::unique_ptr<nn::Optimizer> optimizer_of(const std::vector<nn::NamedParameter>& parameters,
                                            const TrainOptions& o) {
  if (o.adamw)
    return std::make_unique<nn::AdamW>(parameters,
                                       nn::AdamWOptions{.beta1 = o.momentum, .weight_decay = o.weight_decay});
  return std::make_unique<nn::Sgd>(parameters,
                                   nn::SgdOptions{.momentum = o.momentum, .weight_decay = o.weight_decay});
}

}  // namespace

Trainer::Trainer(Exec& exec, std::vector<nn::NamedParameter> parameters, TrainOptions options,
                 std::string phase)
    : exec_(exec), parameters_(std::move(parameters)), options_(options), phase_(std::move(phase)) {}

TrainReport Trainer::run(data::BatchSource& loader, const BatchStep& step, const Watch& watch) {
  const i64 per_epoch = loader.batches(), steps = per_epoch * options_.epochs;
  const nn::CosineSchedule schedule{
      .base = options_.lr, .steps = steps, .warm_up = i64(options_.warmup * double(steps))};
  const std::unique_ptr<nn::Optimizer> optimizer = optimizer_of(parameters_, options_);
  std::optional<nn::Ema> ema;
  if (options_.ema > 0) ema.emplace(parameters_, std::vector<nn::NamedBuffer>{}, options_.ema);

  State state;
  for (const nn::NamedParameter& p : parameters_) state.live["parameter." + p.name] = p.variable.value();
  for (const nn::NamedParameter& p : others_) state.live["kept." + p.name] = p.variable.value();
  state.add("optimizer.", optimizer->state());
  if (ema) state.add("average.", ema->state());

  nn::Ema* const averages = ema ? &*ema : nullptr;
  std::unique_ptr<Update> update;
  if (exec_.gpu())
    update = std::make_unique<CardUpdate>(exec_, *optimizer, averages, options_, step, phase_);
  else
    update = std::make_unique<HostUpdate>(exec_, *optimizer, averages, options_, step, phase_);

  TrainReport report{.epochs = options_.epochs};
  const bool resumable = !checkpoint_.empty();
  const i64 last = options_.stop_after > 0 ? std::min(options_.stop_after, options_.epochs) : options_.epochs;
  i64 epoch = resumable && std::filesystem::exists(checkpoint_) ? state.restore(checkpoint_, last) : 0;
  i64 done = epoch * per_epoch;
  if (macs_) *macs_ = macs_before_ + done * macs_per_step_;
  for (; epoch < last; ++epoch) {
    if (prepare_) prepare_(epoch);
    loader.start(epoch);
    update->start_epoch();
    for (data::Batch batch; loader.next(batch); ++done) {
      watch.check();
      update->apply(batch, done,
                    options_.constant && done >= schedule.warm_up ? options_.lr : schedule.at(done));
      if (macs_) *macs_ = macs_before_ + (done + 1) * macs_per_step_;
      watch.progress({.phase = phase_, .done = done + 1, .total = steps, .unit = "step"});
    }
    report.last_loss = update->mean_loss();
    if (resumable && epoch + 1 < options_.epochs) state.save(checkpoint_, epoch + 1);
  }
  if (ema) ema->swap();
  return report;
}

}  // namespace offramp::nas
