#include "nas/evaluate/evaluate.h"

namespace offramp::nas {
namespace {

// Walks one epoch in the data's order.
template <class Use>
void each_batch(data::BatchSource& source, const Watch& watch, Use&& use) {
  data::Batch batch;
  source.start(0);
  while (source.next(batch)) {
    watch.check();
    use(batch);
  }
}

void append_labels(const data::Batch& batch, auto& labels) {
  const Tensor on_host = batch.labels.to(Device::cpu);
  for (i64 label : on_host.values<i64>()) labels.push_back(std::decay_t<decltype(labels[0])>(label));
}

// When the early exits `in_use` are.
ExitTable told(const ExitLogits& logits, const nn::ExitRule& rule, const std::vector<bool>& in_use) {
  const i64 samples = i64(logits.labels.size()), exits = logits.exits;
  ExitTable table{.samples = samples, .exits = exits, .label = logits.labels};
  table.confidence.assign(std::size_t(samples * exits), 0.0f);
  table.predicted.assign(std::size_t(samples * exits), 0);
  nn::ExitDecider decider;
  decider.start(rule, samples, logits.classes);
  for (i64 s = 0; s < samples; ++s)
    for (i64 e = 0; e < exits; ++e) {
      if (e + 1 < exits && !in_use[std::size_t(e)]) continue;
      const std::size_t at = std::size_t(s * exits + e);
      const float own = logits.own.empty() ? 0 : logits.own[at];
      const nn::Decision d = decider.decide(s, e, logits.values.data() + i64(at) * logits.classes, own);
      table.confidence[at] = d.confidence;
      table.predicted[at] = i32(d.predicted);
    }
  return table;
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

std::shared_ptr<const ExitLogits> answer_all(Exec& exec, nn::EarlyExitRunner& runner,
                                             data::BatchSource& source, const Watch& watch) {
  auto logits = std::make_shared<ExitLogits>();
  logits->exits = i64(runner.exits().size());
  logits->classes = runner.plan_runner().plan().classes;
  const bool learned = runner.plan_runner().plan().learned_confidence;
  each_batch(source, watch, [&](const data::Batch& batch) {
    const std::size_t done = logits->values.size();
    logits->values.resize(done + std::size_t(batch.size() * logits->exits * logits->classes));
    const std::size_t known = logits->own.size();
    if (learned) logits->own.resize(known + std::size_t(batch.size() * logits->exits));
    runner.run_all(exec, batch.images.data<float>(), batch.size(), logits->values.data() + done,
                   learned ? logits->own.data() + known : nullptr);
    append_labels(batch, logits->labels);
  });
  return logits;
}

ExitTable exit_table(std::shared_ptr<const ExitLogits> logits, const nn::ExitRule& rule) {
  rule.require_learned(!logits->own.empty());
  ExitTable table = told(*logits, rule, std::vector<bool>(std::size_t(logits->exits - 1), true));
  if (rule.remembers())
    table.among = [logits, rule](const std::vector<bool>& in_use) { return told(*logits, rule, in_use); };
  return table;
}

TakenExits take_exits(Exec& exec, nn::EarlyExitRunner& runner, data::BatchSource& source,
                      const nn::Thresholds& thresholds, const nn::ExitRule& rule, const Watch& watch) {
  TakenExits taken;
  each_batch(source, watch, [&](const data::Batch& batch) {
    const std::size_t first = taken.outcomes.size();
    taken.outcomes.resize(first + std::size_t(batch.size()));
    runner.run(exec, batch.images.data<float>(), batch.size(), thresholds, rule,
               std::span(taken.outcomes).subspan(first));
    append_labels(batch, taken.labels);
  });
  return taken;
}

}  // namespace offramp::nas
