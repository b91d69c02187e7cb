// Networks trained on the card against the host.
#include <algorithm>
#include <cmath>

#include "autograd/ops/conv2d.h"
#include "autograd/ops/expected_loss.h"
#include "autograd/ops/loss.h"
#include "data/device_loader.h"
#include "nas/train/network_trainer.h"
#include "nas/train/phase.h"
#include "nn/loss.h"
#include "nn/optim/adamw.h"
#include "nn/optim/card_update.h"
#include "nn/optim/sgd.h"
#include "nn/record.h"
#include "tests/cuda/modes.h"
#include "tests/cuda/toy.h"

namespace offramp {
namespace {

using namespace offramp::testing;

constexpr i64 kBatch = 6, kSide = kToySide;

// A class is a bright corner: something to learn.
data::Dataset toy_set(i64 count) {
  data::Dataset set = toy_images(count, kSide, 4);
  for (i64 i = 0; i < count; ++i) {
    u8* image = set.images.data<u8>() + i * kSide * kSide * 3;
    for (i64 y = 0; y < kSide / 2; ++y)
      for (i64 x = 0; x < kSide / 2; ++x)
        for (i64 c = 0; c < 3; ++c) image[((y + i % 4 / 2 * 6) * kSide + x + i % 2 * 6) * 3 + c] |= 0xe0;
  }
  return set;
}

struct Toy {
  explicit Toy(const std::string& text = kEveryLayerSpace) : space(nas::Space::parse(text, "toy")) {}

  data::Dataset set = toy_set(24);
  nas::Space space;
  nas::Task task{.classes = 4, .channels = 3, .height = kSide, .width = kSide};
  nn::Architecture architecture() const { return space.decode(space.max_genotype(), task); }
};

std::vector<double> losses_of(Exec& exec, const Toy& toy, i64 steps, bool adamw = false) {
  nn::FreshParameters fresh{Rng(3)};
  nn::ParametersOn source(memory_of(exec), fresh);
  nn::EarlyExitNetwork network(toy.architecture(), source);
  nn::Sgd sgd(network.named_parameters(), {.weight_decay = 1e-4});
  nn::AdamW adam(network.named_parameters());
  nn::Optimizer& optimizer = adamw ? static_cast<nn::Optimizer&>(adam) : sgd;
  const double lr = adamw ? 1e-4 : 0.01;
  std::optional<nn::CardUpdate> card;
  if (exec.gpu()) card.emplace(exec, optimizer, nullptr, 5.0);
  data::Loader loader(toy.set, data::channel_statistics(toy.set),
                      {.batch = kBatch, .shuffle = true, .drop_last = true});
  std::vector<double> losses;
  for (i64 epoch = 0; i64(losses.size()) < steps; ++epoch) {
    loader.start(epoch);
    for (data::Batch batch; i64(losses.size()) < steps && loader.next(batch);) {
      optimizer.zero_grad();
      Tensor images = batch.images.to(memory_of(exec));
      if (exec.math() == cuda::Math::bf16) images = images.to(DType::bf16);
      const Variable loss =
          nn::exit_loss(exec, network.forward(exec, Variable(images), nn::Mode::train),
                        batch.labels.to(memory_of(exec)), {.label_smoothing = 0.05, .distillation = 0.5});
      backward(exec, loss);
      losses.push_back(loss.value().item());
      if (card) {
        card->set_step(lr);
        card->step(loss.value());
      } else {
        const auto clip = nn::clip_gradients(exec, network.named_parameters(), 5.0);
        optimizer.step(exec, lr, clip.scale);
      }
    }
  }
  return losses;
}

TEST(CudaTraining, LossesAreTheHosts) {
  OFFRAMP_NEEDS_CARD();
  const Toy toy;
  for (const bool adamw : {false, true}) {
    Exec host, portable(Target::portable), card(cuda::Gpu::instance(), cuda::Math::f32);
    const auto want = losses_of(host, toy, 10, adamw), other = losses_of(portable, toy, 10, adamw),
               got = losses_of(card, toy, 10, adamw);
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_NEAR(got[i], want[i], (i < 5 ? 1e-5 : 1e-4) * want[i])
          << (adamw ? "adamw" : "sgd") << " step " << i << " (portable " << other[i] << ")";
    }
    EXPECT_EQ(losses_of(card, toy, 10, adamw), got);  // the same bits again
  }
}

// Rounding drives trainings apart; the card may be no farther from the host than the host's targets are from
// each other, thrice.
TEST(CudaTraining, FiftyStepsDriftNoFartherThanTargetsDo) {
  OFFRAMP_NEEDS_CARD();
  const Toy toy;
  Exec host, portable(Target::portable), card(cuda::Gpu::instance(), cuda::Math::f32);
  if (host.target() == Target::portable) GTEST_SKIP() << "this CPU has one target only";
  const auto want = losses_of(host, toy, 50), other = losses_of(portable, toy, 50),
             got = losses_of(card, toy, 50);
  double targets = 0, drift = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    targets = std::max(targets, std::abs(other[i] - want[i]) / want[i]);
    drift = std::max(drift, std::abs(got[i] - want[i]) / want[i]);
  }
  EXPECT_GT(targets, 0);
  EXPECT_LE(drift, 3 * targets);
}

TEST(CudaTraining, RoundedModesStayNear) {
  OFFRAMP_NEEDS_CARD();
  const Toy toy;
  Exec host;
  const auto want = losses_of(host, toy, 6);
  for (const cuda::Math math : {cuda::Math::tf32, cuda::Math::bf16}) {
    Exec card(cuda::Gpu::instance(), math);
    const auto got = losses_of(card, toy, 6);
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 0.05 * want[i]) << "step " << i;
  }
}

nas::SearchConfig toy_config() {
  nas::SearchConfig config;
  config.train.batch = kBatch;
  config.train.augment = true;
  return config;
}

nas::Regime regime_of(const nas::SearchConfig& config, i64 epochs, double lr) {
  nas::Regime regime = nas::train_regime(config);
  regime.epochs = epochs, regime.lr = lr;
  return regime;
}

std::vector<float> trained(Exec& exec, const Toy& toy, const nas::SearchConfig& config,
                           const nas::Regime& regime, double* loss) {
  nn::FreshParameters fresh{Rng(3)};
  nn::ParametersOn source(memory_of(exec), fresh);
  nn::EarlyExitNetwork network(toy.architecture(), source);
  nn::FreshParameters strange{Rng(4)};
  nn::ParametersOn other(memory_of(exec), strange);
  nn::EarlyExitNetwork teacher(toy.architecture(), other);  // stands in for a supernet's largest network
  const data::Normalisation normalisation = data::channel_statistics(toy.set);
  const nas::TrainingData data{toy.set, normalisation,
                               config.train.teacher == "supernet" ? &teacher : nullptr};
  const nas::TrainReport report = nas::train_network(exec, network, data, config, regime, 1, "toy", {});
  nas::recalibrate(exec, network, data, 12, kBatch);
  if (loss) *loss = report.last_loss;
  std::vector<float> all;
  const nn::Plan plan = nn::deployable(network);
  for (const nn::PlanWeight& w : plan.weights) {
    const auto values = w.value.values<float>();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// All terms, two early exits; gradients for every input.
TEST(CudaTraining, ExpectedLossIsTheHosts) {
  OFFRAMP_NEEDS_CARD();
  constexpr i64 kRows = 300, kClasses = 5, kExits = 3;  // more rows than a block has threads
  Rng rng(11);
  std::vector<Tensor> values;
  for (i64 i = 0; i < 2 * kExits - 1; ++i) {
    values.push_back(Tensor::empty({kRows, i < kExits ? kClasses : 1}));
    for (float& v : values.back().values<float>()) v = rng.uniform(-2, 2);
  }
  Tensor labels = Tensor::empty({kRows}, DType::i64);
  for (i64& label : labels.values<i64>()) label = i64(rng.below(kClasses));
  const Tensor peaks = Tensor::from<double>(
      std::vector<double>{0.1, 0.9, 0.5, 0.3, 0.8, 0.6, 0.2, 0.7, 0.4, 1}, {2, kClasses});
  const Tensor below_zero = Tensor::from<double>(std::vector<double>(10, -1), {2, kClasses});
  std::vector<float> without;
  for (const char* terms : {"all", "few", "few, peaks below zero"}) {
    SCOPED_TRACE(terms);
    const auto run = [&](Exec& exec) {
      std::vector<Variable> in;
      for (const Tensor& t : values) in.emplace_back(t.to(memory_of(exec)), true);
      ops::ExpectedLossOptions options{.classes = 0.7, .truth = 1.3, .peak = 0.9, .cost = 1.1};
      if (terms == std::string("all")) {
        options.label_smoothing = 0.1, options.costs = {1, 2.5, 4}, options.budget = 1.5;
        options.peaks = peaks.to(memory_of(exec));
      } else if (terms != std::string("few")) {
        options.peaks = below_zero.to(memory_of(exec));
      }
      const Variable loss = ops::expected_loss(exec, {in[0], in[1], in[2]}, {in[3], in[4]},
                                               labels.to(memory_of(exec)), options);
      backward(exec, loss);
      std::vector<float> out{float(loss.value().item())};
      for (const Variable& v : in) {
        const Tensor g = v.grad().to(Device::cpu);
        out.insert(out.end(), g.values<float>().begin(), g.values<float>().end());
      }
      return out;
    };
    Exec host, card(cuda::Gpu::instance(), cuda::Math::f32);
    const auto want = run(host), got = run(card);
    EXPECT_TRUE(near(got, want, 1e-6));
    EXPECT_EQ(run(card), got);
    if (terms == std::string("few")) without = got;
    if (terms == std::string("few, peaks below zero")) {
      EXPECT_EQ(got, without);
    }
  }
}

// Exits that learn when to be left: backbone, then exits on it, frozen, with peaks from the second epoch on.
TEST(CudaTraining, LearnedConfidencesTrain) {
  OFFRAMP_NEEDS_CARD();
  const Toy toy(std::string("learned_confidence = true\n") + kEveryLayerSpace);
  nas::SearchConfig config = toy_config();
  config.train.loss = "expected", config.train.freeze_backbone = true;
  config.target_macs = 20'000, config.confidence.support = 0.2, config.confidence.warmup = 1;
  nas::Regime regime = regime_of(config, 2, 0.02);
  regime.backbone_epochs = 1;
  Exec host, card(cuda::Gpu::instance(), cuda::Math::f32), bf16(cuda::Gpu::instance(), cuda::Math::bf16);
  const auto want = trained(host, toy, config, regime, nullptr),
             got = trained(card, toy, config, regime, nullptr);
  ASSERT_EQ(got.size(), want.size());
  EXPECT_TRUE(near(got, want, 2e-2));
  EXPECT_EQ(trained(card, toy, config, regime, nullptr), got);
  double loss = NAN;
  trained(bf16, toy, config, regime, &loss);
  EXPECT_TRUE(std::isfinite(loss));
}

// Exits on a frozen backbone, three steps an epoch: peaks appear behind the first, in which the step is
// captured.
struct ExitsTraining {
  explicit ExitsTraining(const nas::SearchConfig& of_all) : config(of_all) {
    config.train.loss = "expected", config.train.freeze_backbone = true;
    config.confidence.support = 0.2, config.confidence.warmup = 1;
  }
  // What the exits' parameters come to.
  std::vector<float> run(Exec& exec, bool same_steps) const {
    nn::FreshParameters fresh{Rng(3)};
    nn::ParametersOn source(memory_of(exec), fresh);
    nn::EarlyExitNetwork network(toy.architecture(), source);
    const data::Normalisation normalisation = data::channel_statistics(toy.set);
    const nas::TrainingData data{toy.set, normalisation};
    const nas::Regime regime = regime_of(config, 3, 0.02);
    const nas::Phase phase{.part = nas::Part::exits, .epochs = 3, .name = "toy", .checkpoint = ""};
    nas::PhaseLoss loss(exec, network, data, config, regime, phase, 1);
    const nas::TrainingData training = loss.training();
    const auto loader = nas::source_of(
        exec, training,
        {.batch = kBatch, .shuffle = true, .drop_last = true, .seed = 1, .height = kSide, .width = kSide});
    EXPECT_EQ(loader->batches(), 3);
    const auto parameters = nas::parameters_of(network, nas::Part::exits);
    nas::Trainer trainer(exec, parameters,
                         {.epochs = 3, .batch = kBatch, .lr = 0.02, .same_steps = same_steps}, "toy");
    trainer.before_epoch([&](i64 epoch) { loss.before_epoch(epoch); });
    const auto step = [&](const data::Batch& batch, i64) {
      const Variable value = loss(batch);
      backward(exec, value);
      return value.value();
    };
    trainer.run(*loader, step, {});
    std::vector<float> all;
    for (const nn::NamedParameter& p : parameters) {
      const Tensor t = p.variable.value().to(Device::cpu);
      all.insert(all.end(), t.values<float>().begin(), t.values<float>().end());
    }
    return all;
  }
  // Of the expected loss; replays of a graph launch none.
  i64 losses_launched(Exec& exec, bool same_steps, std::vector<float>& parameters) const {
    cuda::LaunchTimes times;
    exec.gpu()->times = &times;
    parameters = run(exec, same_steps);
    exec.gpu()->times = nullptr;
    return std::count_if(times.launches.begin(), times.launches.end(), [](const auto& launch) {
      return launch.op == std::string("expected_loss/any/cuda");
    });
  }

  Toy toy{std::string("learned_confidence = true\n") + kEveryLayerSpace};
  nas::SearchConfig config;
};

TEST(CudaTraining, StepsWithPeaksAreCaptured) {
  OFFRAMP_NEEDS_CARD();
  const ExitsTraining training(toy_config());
  Exec host, card(cuda::Gpu::instance(), cuda::Math::f32);
  std::vector<float> captured, eager;
  EXPECT_EQ(training.losses_launched(card, true, captured), 3);  // two steps and the capture
  EXPECT_EQ(training.losses_launched(card, false, eager), 9);
  EXPECT_EQ(captured, eager);
  EXPECT_TRUE(near(captured, training.run(host, false), 2e-2));
  // The peaks of the later epochs were felt.
  ExitsTraining without = training;
  without.config.confidence.peak = 1e-9;
  EXPECT_NE(without.run(card, true), captured);
}

// Length of the difference over the length of what is wanted.
double apart(const std::vector<float>& got, const std::vector<float>& want) {
  double difference = 0, all = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    difference += std::pow(double(got[i]) - double(want[i]), 2);
    all += std::pow(double(want[i]), 2);
  }
  return std::sqrt(difference / all);
}

// Steps 3 and later are replays of a captured graph. The weights may be `most` apart, all together: AdamW
// moves a weight without a gradient by a whole learning rate whichever way rounding has it.
void expect_captured_steps_are_the_hosts(const nas::SearchConfig& config, double most) {
  const Toy toy;
  Exec host, card(cuda::Gpu::instance(), cuda::Math::f32), bf16(cuda::Gpu::instance(), cuda::Math::bf16);
  const nas::Regime regime = regime_of(config, 2, 0.02);
  double host_loss = 0, card_loss = 0, bf16_loss = 0;
  const auto want = trained(host, toy, config, regime, &host_loss),
             got = trained(card, toy, config, regime, &card_loss);
  EXPECT_NEAR(card_loss, host_loss, 1e-3 * host_loss);
  ASSERT_EQ(got.size(), want.size());
  EXPECT_LT(apart(got, want), most);
  EXPECT_EQ(trained(card, toy, config, regime, nullptr), got);
  trained(bf16, toy, config, regime, &bf16_loss);
  EXPECT_NEAR(bf16_loss, host_loss, 0.1 * host_loss);
}

TEST(CudaTraining, CapturedStepsAreTheHosts) {
  OFFRAMP_NEEDS_CARD();
  expect_captured_steps_are_the_hosts(toy_config(), 1e-5);
}
TEST(CudaTraining, CapturedStepsOfAdamWWithAveragesAreTheHosts) {
  OFFRAMP_NEEDS_CARD();
  nas::SearchConfig config = toy_config();
  config.train.optimizer = "adamw", config.train.ema = 0.9, config.train.equilibrium = true;
  expect_captured_steps_are_the_hosts(config, 2e-2);
}
TEST(CudaTraining, CapturedStepsWithATeacherAreTheHosts) {
  OFFRAMP_NEEDS_CARD();
  nas::SearchConfig config = toy_config();
  config.train.teacher = "supernet";
  expect_captured_steps_are_the_hosts(config, 1e-5);
}

TEST(CudaTraining, SupernetTrains) {
  OFFRAMP_NEEDS_CARD();
  const Toy toy;
  nas::SearchConfig config = toy_config();
  config.supernet.epochs = 1;
  config.supernet.random_subnets = 1;
  Exec host, card(cuda::Gpu::instance(), cuda::Math::f32);
  const data::Normalisation normalisation = data::channel_statistics(toy.set);
  const nas::TrainingData data{toy.set, normalisation};
  std::vector<std::vector<float>> weights;
  for (Exec* exec : {&host, &card}) {
    const nas::Supernet supernet(toy.space, toy.task, Rng(2), memory_of(*exec));
    nas::train_supernet(*exec, supernet, data, config, {});
    std::vector<float> all;
    for (const nn::NamedParameter& p : supernet.parameters()) {
      const Tensor t = p.variable.value().to(Device::cpu);
      all.insert(all.end(), t.values<float>().begin(), t.values<float>().end());
    }
    weights.push_back(all);
  }
  EXPECT_TRUE(near(weights[1], weights[0], 1e-3));
}

TEST(CudaTraining, DivergenceIsAnError) {
  OFFRAMP_NEEDS_CARD();
  const Toy toy;
  nas::SearchConfig config = toy_config();
  config.train.clip = 0;
  Exec card(cuda::Gpu::instance(), cuda::Math::f32);
  nn::FreshParameters fresh{Rng(3)};
  nn::ParametersOn source(Device::cuda, fresh);
  nn::EarlyExitNetwork network(toy.architecture(), source);
  const data::Normalisation normalisation = data::channel_statistics(toy.set);
  EXPECT_THROW(nas::train_network(card, network, {toy.set, normalisation}, config, regime_of(config, 2, 1e30),
                                  1, "toy", {}),
               Error);
}

TEST(CudaLoader, BatchesAreTheHosts) {
  OFFRAMP_NEEDS_CARD();
  const data::Dataset set = toy_set(11);
  const data::Normalisation normalisation = data::channel_statistics(set);
  Exec card(cuda::Gpu::instance(), cuda::Math::f32);
  data::LoaderOptions options{.batch = 4, .shuffle = true, .seed = 7};
  for (const int variant : {0, 1, 2, 3}) {
    options.augment = {};
    options.height = options.width = variant == 3 ? 16 : 0;
    if (variant > 0) options.augment.pad = 2, options.augment.flip = true, options.augment.cutout = 5;
    if (variant == 2)
      options.augment.brightness = 0.3f, options.augment.contrast = 0.2f, options.augment.saturation = 0.4f;
    data::Loader host(set, normalisation, options);
    data::DeviceLoader device(card, set, normalisation, options, DType::f32);
    ASSERT_EQ(host.batches(), device.batches());
    for (const i64 epoch : {0, 3}) {
      host.start(epoch);
      device.start(epoch);
      data::Batch want, got;
      while (host.next(want)) {
        ASSERT_TRUE(device.next(got));
        const Tensor images = got.images.to(Device::cpu), labels = got.labels.to(Device::cpu);
        ASSERT_EQ(images.shape(), want.images.shape());
        const std::span<const float> a = images.values<float>(),
                                     b = std::as_const(want.images).values<float>();
        const double bound = variant == 0 || variant == 1 ? 0 : 1e-5;
        EXPECT_TRUE((all_close<float, float>(a, b, [&](i64) { return bound; }))) << "variant " << variant;
        EXPECT_TRUE(std::equal(labels.values<i64>().begin(), labels.values<i64>().end(),
                               want.labels.values<i64>().begin()));
      }
      EXPECT_FALSE(device.next(got));
    }
  }
}

}  // namespace
}  // namespace offramp
