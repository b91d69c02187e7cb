#include "nas/train/phase.h"

#include <utility>

#include "autograd/ops/resize.h"
#include "nas/seeds.h"
#include "nn/record.h"

namespace offramp::nas {
namespace {

constexpr double kNoPeak = -1;  // kernels/expected_loss/expected_loss_call.h

}  // namespace

PhaseLoss::PhaseLoss(Exec& exec, nn::EarlyExitNetwork& network, const TrainingData& data,
                     const SearchConfig& config, const Regime& regime, const Phase& phase, u64 seed)
    : exec_(exec), network_(network), data_(data), config_(config), regime_(regime), phase_(phase) {
  const i64 exits = network.exit_count();
  plain_ = {.weights = phase.part == Part::backbone ? std::vector<double>() : exit_weights(config, exits),
            .label_smoothing = config.train.label_smoothing,
            .distillation = config.train.distill};
  if (phase.part == Part::backbone || config.train.loss != "expected") return;
  const auto& c = config.confidence;
  expected_ = {.classes = c.classes,
               .truth = c.truth,
               .peak = c.peak,
               .cost = c.cost,
               .label_smoothing = config.train.label_smoothing,
               .costs = {},
               .budget = double(config.target_macs),
               .cost_gradient = c.cost_gradient,
               .peaks = Tensor()};
  if (config.target_macs > 0) {
    nn::MetaParameters none;
    nn::EarlyExitNetwork same(network.architecture(), none);
    for (const nn::ExitCost& exit : nn::exit_costs(nn::deployable(same)))
      expected_->costs.push_back(double(exit.leave_macs));
  }
  if (c.peak > 0 && c.warmup < phase.epochs && exits > 1)
    support_ = split_support(data.train, c.support, stream_seed(seed, "support"));
  if (!support_) return;
  // There from the start, at the place where they stay: a captured step reads them there.
  expected_->peaks = Tensor::empty({exits - 1, network.architecture().classes}, DType::f64, memory_of(exec));
  expected_->peaks.fill(kNoPeak);
}

void PhaseLoss::before_epoch(i64 epoch) {
  if (phase_.part == Part::exits && !std::exchange(frozen_, true))
    recalibrate(exec_, network_, data_, regime_.recalibrate, config_.train.batch);
  if (support_ && epoch >= config_.confidence.warmup)
    expected_->peaks.copy_from(class_accuracies(exec_, network_, phase_.part,
                                                {support_->support, data_.normalisation}, config_.train.batch)
                                   .to(memory_of(exec_)));
}

Tensor PhaseLoss::taught(const data::Batch& batch) {
  if (!data_.teacher) return {};
  const nn::Architecture& input = data_.teacher->architecture();
  Variable images(batch.images);
  if (images.shape()[1] != input.height || images.shape()[2] != input.width)
    images = ops::resize(exec_, images, input.height, input.width, kernels::ResizeKind::bilinear);
  return answers_of(exec_, *data_.teacher, Part::backbone, images, nn::Mode::evaluate, false)
      .logits.back()
      .value();
}

Variable PhaseLoss::operator()(const data::Batch& batch) {
  const Answers answers = answers_of(exec_, network_, phase_.part, Variable(batch.images), nn::Mode::train,
                                     config_.train.equilibrium);
  if (expected_)
    return ops::expected_loss(exec_, answers.logits, answers.confidence, batch.labels, *expected_);
  return nn::exit_loss(exec_, answers.logits, batch.labels, plain_, taught(batch));
}

}  // namespace offramp::nas
