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

ExitAnswers answer_all(Exec& exec, nn::EarlyExitRunner& runner, data::Loader& loader, nn::Confidence kind,
                       const Watch& watch, bool keep_logits) {
  const i64 exits = i64(runner.exits().size()), classes = runner.plan_runner().plan().classes;
  ExitAnswers answers{.table = {.exits = exits}};
  std::vector<float> logits;
  each_batch(loader, watch, [&](const data::Batch& batch) {
    logits.resize(std::size_t(batch.size() * exits * classes));
    runner.run_all(exec, batch.images.data<float>(), batch.size(), logits.data());
    for (i64 row = 0; row < batch.size() * exits; ++row) {
      const nn::Decision d = nn::decide(kind, logits.data() + row * classes, classes);
      answers.table.confidence.push_back(d.confidence);
      answers.table.predicted.push_back(i32(d.predicted));
    }
    append_labels(batch, answers.table.label);
    answers.table.samples += batch.size();
    if (keep_logits) answers.logits.insert(answers.logits.end(), logits.begin(), logits.end());
  });
  return answers;
}

TakenExits take_exits(Exec& exec, nn::EarlyExitRunner& runner, data::Loader& loader,
                      const nn::Thresholds& thresholds, nn::Confidence kind, const Watch& watch) {
  TakenExits taken;
  each_batch(loader, watch, [&](const data::Batch& batch) {
    const std::size_t first = taken.outcomes.size();
    taken.outcomes.resize(first + std::size_t(batch.size()));
    runner.run(exec, batch.images.data<float>(), batch.size(), thresholds, kind,
               std::span(taken.outcomes).subspan(first));
    append_labels(batch, taken.labels);
  });
  return taken;
}

}  // namespace offramp::nas
