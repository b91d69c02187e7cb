#include "nas/train/network_trainer.h"

#include <algorithm>
#include <filesystem>
#include <memory>

#include "autograd/ops/resize.h"
#include "data/device_loader.h"
#include "kernels/cuda/gpu.h"
#include "kernels/error.h"
#include "nas/seeds.h"
#include "nas/train/phase.h"
#include "nn/loss.h"
#include "nn/record.h"

namespace offramp::nas {
namespace {

data::LoaderOptions training_options(const TrainingData& data, const SearchConfig& config,
                                     const nn::Architecture& input, u64 seed) {
  data::LoaderOptions options{.batch = config.train.batch,
                              .shuffle = true,
                              .drop_last = true,
                              .seed = seed,
                              .height = input.height,
                              .width = input.width};
  if (config.train.augment) options.augment = data::default_augment(data.train.name, data.train.height());
  return options;
}

TrainOptions train_options(const SearchConfig& config, const Regime& regime, u64 seed) {
  return {.epochs = regime.epochs,
          .batch = config.train.batch,
          .stop_after = regime.stop_after,
          .lr = regime.lr,
          .adamw = config.train.optimizer == "adamw",
          .momentum = config.train.momentum,
          .weight_decay = regime.weight_decay,
          .warmup = regime.warmup,
          .clip = regime.clip,
          .ema = config.train.ema,
          .seed = seed};
}

// config.train's with what differs.
Regime regime_of(const SearchConfig& config, i64 epochs, i64 backbone_epochs, double lr, i64 images) {
  const auto& t = config.train;
  return {.epochs = epochs,
          .backbone_epochs = backbone_epochs,
          .lr = lr,
          .warmup = t.warmup,
          .weight_decay = t.weight_decay,
          .clip = t.clip,
          .recalibrate = images};
}

// The random part of a step's sandwich: of the step alone, so that a resumed training draws the same.
std::vector<Genotype> random_subnets(const Space& space, const SearchConfig& config, i64 step) {
  const Rng draws(stream_seed(config.seed, "supernet sampling"));
  std::vector<Genotype> genotypes;
  for (i64 i = 0; i < config.supernet.random_subnets; ++i) {
    Rng rng = draws.derive(u64(step), u64(i));
    genotypes.push_back(space.sample(rng));
  }
  return genotypes;
}

// Drawn again: training itself need not keep count across interruptions.
i64 sandwich_macs(const Supernet& supernet, const SearchConfig& config, i64 steps) {
  const Space& space = supernet.space();
  const auto macs_of = [&](const Genotype& g) { return forward_macs(space.decode(g, supernet.task())); };
  i64 sum = steps * (macs_of(space.max_genotype()) + macs_of(space.min_genotype()));
  for (i64 step = 0; step < steps; ++step)
    for (const Genotype& g : random_subnets(space, config, step)) sum += macs_of(g);
  return sum * config.train.batch;
}

// SearchConfig::Candidate or Final: what they leave open is config.train's.
Regime regime_of(const SearchConfig& config, const auto& own) {
  Regime regime = regime_of(config, own.epochs, own.backbone_epochs, own.lr, own.recalibrate);
  regime.warmup = own.warmup.value_or(regime.warmup);
  regime.weight_decay = own.weight_decay.value_or(regime.weight_decay);
  regime.clip = own.clip.value_or(regime.clip);
  return regime;
}

i64 step_macs(const nn::Architecture& network, Part part, const TrainingData& data,
              const SearchConfig& config) {
  const i64 teacher = data.teacher ? teaching_macs(data.teacher->architecture()) : 0;
  return (forward_macs(part == Part::backbone ? backbone_of(network) : network) + teacher) *
         config.train.batch;
}

TrainReport train_phase(Exec& exec, nn::EarlyExitNetwork& network, const TrainingData& data,
                        const SearchConfig& config, const Regime& regime, u64 seed, const Phase& phase,
                        const Watch& watch, i64* macs) {
  PhaseLoss loss(exec, network, data, config, regime, phase, seed);
  const TrainingData training = loss.training();
  const nn::Architecture& whole = network.architecture();
  const auto loader = source_of(exec, training, training_options(training, config, whole, seed));
  TrainOptions options = train_options(config, regime, seed);
  options.epochs = phase.epochs;
  options.constant = phase.part != Part::backbone && config.train.schedule == "constant";
  options.same_steps = true;  // the same calls on the same memory, peaks or none
  Trainer trainer(exec, parameters_of(network, phase.part), options, phase.name);
  trainer.keep_checkpoint(phase.checkpoint);
  if (phase.part == Part::exits) trainer.keep_too(parameters_of(network, Part::backbone));
  trainer.before_epoch([&](i64 epoch) { loss.before_epoch(epoch); });
  if (macs) trainer.count_macs(step_macs(whole, phase.part, data, config), macs, phase.macs_before);
  return trainer.run(
      *loader,
      [&](const data::Batch& batch, i64) {
        const Variable value = loss(batch);
        backward(exec, value);
        return value.value();
      },
      watch);
}

}  // namespace

std::unique_ptr<data::BatchSource> source_of(Exec& exec, const TrainingData& data,
                                             const data::LoaderOptions& options) {
  const DType dtype = exec.math() == cuda::Math::bf16 ? DType::bf16 : DType::f32;
  return data::source_of(exec, data.train, data.normalisation, options, dtype);
}

Regime train_regime(const SearchConfig& config) {
  const auto& t = config.train;
  return regime_of(config, t.epochs, t.backbone_epochs, t.lr, config.final.recalibrate);
}
Regime final_regime(const SearchConfig& config) { return regime_of(config, config.final); }
Regime candidate_regime(const SearchConfig& config) { return regime_of(config, config.candidate); }

std::vector<double> exit_weights(const SearchConfig& config, i64 exits) {
  if (config.train.loss != "weighted") return {};
  const std::vector<double>& at = config.train.exit_weights;
  std::vector<double> weights;
  for (i64 e = 0; e < exits; ++e) {
    const double place =
        exits > 1 ? double(e) / double(exits - 1) * double(at.size() - 1) : double(at.size() - 1);
    const std::size_t below = std::size_t(place), above = std::min(below + 1, at.size() - 1);
    weights.push_back(at[below] + (place - double(below)) * (at[above] - at[below]));
  }
  return weights;
}

i64 forward_macs(const nn::Architecture& architecture) {
  nn::MetaParameters none;
  nn::EarlyExitNetwork network(architecture, none);
  return nn::exit_costs(nn::deployable(network)).back().leave_macs;
}

i64 teaching_macs(const nn::Architecture& teacher) { return forward_macs(backbone_of(teacher)); }

Task task_of(const data::Dataset& set) {
  return {.classes = i64(set.classes.size()),
          .channels = set.channels(),
          .height = set.height(),
          .width = set.width()};
}

TrainReport train_network(Exec& exec, nn::EarlyExitNetwork& network, const TrainingData& data,
                          const SearchConfig& config, const Regime& regime, u64 seed,
                          const std::string& phase, const Watch& watch, const std::string& checkpoint,
                          i64* macs) {
  namespace fs = std::filesystem;
  if (config.train.loss == "expected" && !network.architecture().learned_confidence)
    throw usage_error(
        "train.loss=expected: the exits of this network learn no confidence; their space must say "
        "learned_confidence = true");
  const bool frozen = config.train.freeze_backbone;
  Phase last{frozen ? Part::exits : Part::all, regime.epochs, phase, checkpoint};
  TrainReport report;
  if (regime.backbone_epochs > 0) {
    const Phase first{Part::backbone, regime.backbone_epochs, phase + " backbone",
                      checkpoint.empty() ? "" : checkpoint + ".backbone"};
    last.macs_before = first.epochs * (data.train.size() / config.train.batch) *
                       step_macs(network.architecture(), Part::backbone, data, config);
    if (macs) *macs = last.macs_before;
    // The checkpoint of the last phase holds what the first one came to.
    if (checkpoint.empty() || !fs::exists(checkpoint))
      report = train_phase(exec, network, data, config, regime, seed, first, watch, macs);
  }
  if (last.epochs > 0 && (!frozen || network.exit_count() > 1))
    report = train_phase(exec, network, data, config, regime, seed, last, watch, macs);
  return report;
}

TrainReport train_supernet(Exec& exec, const Supernet& supernet, const TrainingData& data,
                           const SearchConfig& config, const Watch& watch, const std::string& checkpoint,
                           i64* macs) {
  const Space& space = supernet.space();
  const Genotype largest = space.max_genotype(), smallest = space.min_genotype();
  const u64 seed = stream_seed(config.seed, "supernet order");
  const nn::ExitLossOptions own{.label_smoothing = config.train.label_smoothing,
                                .distillation = config.train.distill};
  const nn::ExitLossOptions taught{.label_smoothing = config.train.label_smoothing,
                                   .distillation = config.supernet.distill};

  // Every subnet of a batch sees the same images, resized from the data's own size to what it takes.
  const auto loader = source_of(exec, data, training_options(data, config, {}, seed));
  Trainer trainer(
      exec, supernet.parameters(),
      train_options(config, regime_of(config, config.supernet.epochs, 0, config.supernet.lr, 0), seed),
      "supernet");
  trainer.keep_checkpoint(checkpoint);
  const TrainReport report = trainer.run(
      *loader,
      [&](const data::Batch& batch, i64 step) {
        const Variable images(batch.images);
        Tensor teacher, reported;
        const auto pass = [&](const Genotype& genotype, nn::ExitLossOptions options) {
          nn::EarlyExitNetwork network = supernet.subnet(genotype);
          options.weights = exit_weights(config, network.exit_count());
          const nn::Architecture& input = network.architecture();
          const bool fits = images.shape()[1] == input.height && images.shape()[2] == input.width;
          const Variable x =
              fits ? images
                   : ops::resize(exec, images, input.height, input.width, kernels::ResizeKind::bilinear);
          const std::vector<Variable> logits =
              network.forward(exec, x, nn::Mode::train, config.train.equilibrium);
          const Variable loss = nn::exit_loss(exec, logits, batch.labels, options, teacher);
          backward(exec, loss);
          if (!teacher.defined()) {
            teacher = logits.back().value();
            reported = loss.value();
          }
        };
        pass(largest, own);
        pass(smallest, taught);
        for (const Genotype& genotype : random_subnets(space, config, step)) pass(genotype, taught);
        return reported;
      },
      watch);
  if (macs) *macs = sandwich_macs(supernet, config, loader->batches() * report.epochs);
  return report;
}

void recalibrate(Exec& exec, nn::EarlyExitNetwork& network, const TrainingData& data, i64 images,
                 i64 batch_size) {
  const nn::Architecture& input = network.architecture();
  const auto loader = source_of(exec, data,
                                {.batch = batch_size,
                                 .shuffle = true,
                                 .drop_last = true,
                                 .seed = 0,
                                 .height = input.height,
                                 .width = input.width});
  network.reset_statistics();
  loader->start(0);
  data::Batch batch;
  for (i64 seen = 0; seen < images && loader->next(batch); seen += batch.size())
    network.forward(exec, Variable(batch.images), nn::Mode::recalibrate);
}

}  // namespace offramp::nas
