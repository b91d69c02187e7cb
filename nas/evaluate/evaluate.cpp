#include "nas/evaluate/evaluate.h"

namespace offramp::nas {
namespace {

// Walks one epoch in the data's order.
template <class Use>
void each_batch(data::Loader& loader, const Watch& watch, Use&& use) {
  data::Batch batch;
  loader.start(0);
  while (loader.next(batch)) {
    watch.check();
    use(batch);
  }
}

void append_labels(const data::Batch& batch, auto& labels) {
  for (i64 label : batch.labels.values<i64>()) labels.push_back(std::decay_t<decltype(labels[0])>(label));
}

}  // namespace

ExitCosts exit_costs_of(const nn::Plan& plan) {
  ExitCosts costs;
  i64 before = 0;
  for (const nn::ExitCost& exit : nn::exit_costs(plan)) {
    costs.body.push_back(exit.prefix_macs - before);
    costs.head.push_back(exit.head_macs);
    before = exit.prefix_macs;
  }
  return costs;
}

ExitTable table_of(std::span<const float> logits, std::vector<i32> labels, i64 exits, i64 classes,
                   const nn::ExitRule& rule, const std::vector<bool>& in_use) {
  const i64 samples = i64(labels.size());
  ExitTable table{.samples = samples, .exits = exits, .label = std::move(labels)};
  table.confidence.assign(std::size_t(samples * exits), 0.0f);
  table.predicted.assign(std::size_t(samples * exits), 0);
  nn::ExitDecider decider;
  decider.start(rule, samples, classes);
  for (i64 s = 0; s < samples; ++s)
    for (i64 e = 0; e < exits; ++e) {
      if (e + 1 < exits && !in_use[std::size_t(e)]) continue;
      const std::size_t at = std::size_t(s * exits + e);
      const nn::Decision d = decider.decide(s, logits.data() + i64(at) * classes);
      table.confidence[at] = d.confidence;
      table.predicted[at] = i32(d.predicted);
    }
  return table;
}

ExitAnswers answer_all(Exec& exec, nn::EarlyExitRunner& runner, data::Loader& loader,
                       const nn::ExitRule& rule, const Watch& watch) {
  const i64 exits = i64(runner.exits().size()), classes = runner.plan_runner().plan().classes;
  auto logits = std::make_shared<std::vector<float>>();
  std::vector<i32> labels;
  each_batch(loader, watch, [&](const data::Batch& batch) {
    const std::size_t done = logits->size();
    logits->resize(done + std::size_t(batch.size() * exits * classes));
    runner.run_all(exec, batch.images.data<float>(), batch.size(), logits->data() + done);
    append_labels(batch, labels);
  });
  ExitAnswers answers{.table = table_of(*logits, labels, exits, classes, rule,
                                        std::vector<bool>(std::size_t(exits - 1), true)),
                      .logits = logits};
  if (rule.remembers())
    answers.table.among = [=, labels = std::move(labels)](const std::vector<bool>& in_use) {
      return table_of(*logits, labels, exits, classes, rule, in_use);
    };
  return answers;
}

TakenExits take_exits(Exec& exec, nn::EarlyExitRunner& runner, data::Loader& loader,
                      const nn::Thresholds& thresholds, const nn::ExitRule& rule, const Watch& watch) {
  TakenExits taken;
  each_batch(loader, watch, [&](const data::Batch& batch) {
    const std::size_t first = taken.outcomes.size();
    taken.outcomes.resize(first + std::size_t(batch.size()));
    runner.run(exec, batch.images.data<float>(), batch.size(), thresholds, rule,
               std::span(taken.outcomes).subspan(first));
    append_labels(batch, taken.labels);
  });
  return taken;
}

}  // namespace offramp::nas
