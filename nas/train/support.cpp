#include "nas/train/support.h"

#include <algorithm>
#include <numeric>

namespace offramp::nas {

SupportSplit split_support(const data::Dataset& set, double share, u64 seed) {
  const i64 classes = i64(set.classes.size());
  const i64 each = std::max<i64>(1, i64(share * double(set.size())) / std::max<i64>(classes, 1));
  std::vector<i64> order(std::size_t(set.size()), 0);
  std::iota(order.begin(), order.end(), i64{0});
  Rng rng(seed);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(u32(i))]);
  std::vector<i64> taken, of_class(std::size_t(classes), 0);
  for (i64 i : order)
    if (of_class[std::size_t(set.labels[std::size_t(i)])]++ < each) taken.push_back(i);
  std::sort(taken.begin(), taken.end());
  return {data::subset(set, data::others(set.size(), taken)), data::subset(set, taken)};
}

Tensor class_accuracies(Exec& exec, nn::EarlyExitNetwork& network, Part part, const TrainingData& support,
                        i64 batch_size) {
  const nn::Architecture& input = network.architecture();
  const i64 early = network.exit_count() - 1, classes = input.classes;
  Tensor shares = Tensor::zeros({early, classes}, DType::f64);
  double* const right = shares.data<double>();
  std::vector<double> count(std::size_t(classes), 0);
  const auto loader =
      source_of(exec, support, {.batch = batch_size, .height = input.height, .width = input.width});
  loader->start(0);
  for (data::Batch batch; loader->next(batch);) {
    const Answers answers =
        answers_of(exec, network, part, Variable(batch.images), nn::Mode::recalibrate, false);
    const Tensor on_host = batch.labels.to(Device::cpu);
    const auto labels = on_host.values<i64>();
    for (i64 label : labels) ++count[std::size_t(label)];
    for (i64 e = 0; e < early; ++e) {
      const Tensor logits =
          answers.logits[std::size_t(e)].value().contiguous().to(DType::f32).to(Device::cpu);
      const float* const x = std::as_const(logits).data<float>();
      for (i64 s = 0; s < batch.size(); ++s) {
        const float* const row = x + s * classes;
        const i64 label = labels[std::size_t(s)];
        right[e * classes + label] += std::max_element(row, row + classes) - row == label;
      }
    }
  }
  for (i64 i = 0; i < shares.count(); ++i)
    if (const double n = count[std::size_t(i % classes)]; n > 0) right[i] /= n;
  return shares;
}

}  // namespace offramp::nas
