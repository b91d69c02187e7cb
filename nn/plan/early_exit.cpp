#include "nn/plan/early_exit.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>

#include "kernels/cuda/built.h"
#include "kernels/error.h"
#include "nn/plan/card_runner.h"

namespace offramp::nn {

std::vector<i64> leave_macs(std::span<const ExitCost> exits, const Thresholds& thresholds) {
  if (thresholds.size() + 1 != exits.size())
    throw usage_error("wanted " + std::to_string(exits.size() - 1) + " thresholds, one per early exit, got " +
                      std::to_string(thresholds.size()));
  std::vector<i64> macs(exits.size());
  i64 heads = 0;
  for (size_t e = 0; e < exits.size(); ++e) {
    const bool on = e + 1 == exits.size() || thresholds[e].has_value();
    if (!on) continue;
    heads += exits[e].head_macs;
    macs[e] = exits[e].prefix_macs + heads;
  }
  return macs;
}

namespace {

// So many samples together that their arena stays below a gigabyte; the result does not depend on it.
i64 affordable(const Plan& plan, i64 max_batch) {
  constexpr i64 kMostFloats = i64{1} << 28;
  return std::clamp<i64>(kMostFloats / std::max<i64>(lay_out(plan, tile(plan), 1).floats(1), 1), 1,
                         std::max<i64>(max_batch, 1));
}

}  // namespace

EarlyExitRunner::EarlyExitRunner(std::shared_ptr<const Plan> plan, Target target, i64 max_batch, int threads)
    : runner_(*plan, target, affordable(*plan, max_batch), threads),
      plan_(cuda::kBuilt ? plan : nullptr),
      exits_(exit_costs(*plan)) {
  alive_.reserve(size_t(runner_.max_batch()));
  keep_.reserve(size_t(runner_.max_batch()));
}

EarlyExitRunner::~EarlyExitRunner() = default;

CardRunner& EarlyExitRunner::card(Exec& exec) {
  if constexpr (cuda::kBuilt)
    if (!card_) card_ = CardRunner::make(exec, plan_, runner_.max_batch());
  return *card_;
}

void EarlyExitRunner::load(const float* images, i64 n) {
  std::memcpy(runner_.input(), images, size_t(n * runner_.plan().buffers[0]) * sizeof(float));
}

void EarlyExitRunner::run(Exec& exec, const float* images, i64 n, const Thresholds& thresholds,
                          const ExitRule& rule, std::span<Outcome> outcomes) {
  const std::vector<i64> costs = leave_macs(exits_, thresholds);
  if (!rule.temperature.empty() && rule.temperature.size() != exits_.size())
    throw usage_error("wanted " + std::to_string(exits_.size()) + " temperatures, one per exit, got " +
                      std::to_string(rule.temperature.size()));
  rule.require_learned(runner_.plan().learned_confidence);
  const i64 image = runner_.plan().buffers[0];
  for (i64 done = 0; done < n; done += runner_.max_batch()) {
    const i64 group = std::min(runner_.max_batch(), n - done);
    if (exec.gpu()) {
      card(exec).run(exec, images + done * image, group, thresholds, rule, costs, outcomes.data() + done);
      continue;
    }
    load(images + done * image, group);
    decider_.start(rule, group, runner_.plan().classes);
    run_group(exec, group, thresholds, costs, outcomes.data() + done);
  }
}

void EarlyExitRunner::run_group(Exec& exec, i64 n, const Thresholds& thresholds, std::span<const i64> costs,
                                Outcome* outcomes) {
  alive_.resize(size_t(n));
  std::iota(alive_.begin(), alive_.end(), i64{0});
  const i64 stages = i64(runner_.plan().stages.size()), classes = runner_.plan().classes;
  size_t exit = 0;
  for (i64 stage = 0; stage < stages && !alive_.empty(); ++stage) {
    runner_.run_body(exec, stage, i64(alive_.size()));
    if (exits_[exit].stage != stage) continue;
    const size_t e = exit++;
    const bool last = e + 1 == exits_.size();
    if (!last && !thresholds[e]) continue;

    const float* logits = runner_.run_head(exec, stage, i64(alive_.size()));
    const i64 outputs = runner_.plan().outputs(size_t(stage));
    keep_.clear();
    for (size_t row = 0; row < alive_.size(); ++row) {
      const float* const answer = logits + i64(row) * outputs;
      const Decision d =
          decider_.decide(alive_[row], i64(e), answer, own_confidence(answer, classes, outputs));
      if (last || d.confidence >= *thresholds[e])
        outcomes[alive_[row]] = {d.predicted, d.confidence, i64(e), costs[e]};
      else
        keep_.push_back(i64(row));
    }
    if (keep_.size() == alive_.size()) continue;
    runner_.compact(stage, keep_);
    for (size_t row = 0; row < keep_.size(); ++row) alive_[row] = alive_[size_t(keep_[row])];
    alive_.resize(keep_.size());
  }
}

void EarlyExitRunner::run_all(Exec& exec, const float* images, i64 n, float* logits, float* own) {
  const i64 image = runner_.plan().buffers[0], classes = runner_.plan().classes, exits = i64(exits_.size());
  for (i64 done = 0; done < n; done += runner_.max_batch()) {
    const i64 group = std::min(runner_.max_batch(), n - done);
    if (exec.gpu()) {
      card(exec).run_all(exec, images + done * image, group, logits + done * exits * classes,
                         own ? own + done * exits : nullptr);
      continue;
    }
    load(images + done * image, group);
    i64 exit = 0;
    for (i64 stage = 0; stage < i64(runner_.plan().stages.size()); ++stage) {
      runner_.run_body(exec, stage, group);
      if (!runner_.plan().stages[size_t(stage)].has_exit()) continue;
      const float* from = runner_.run_head(exec, stage, group);
      for (i64 i = 0; i < group; ++i) {
        const float* const answer = from + i * runner_.plan().outputs(size_t(stage));
        const i64 to = (done + i) * exits + exit;
        std::memcpy(logits + to * classes, answer, size_t(classes) * sizeof(float));
        if (own) own[to] = own_confidence(answer, classes, runner_.plan().outputs(size_t(stage)));
      }
      ++exit;
    }
  }
}

}  // namespace offramp::nn
