#include "nn/plan/exit_rule.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/error.h"

namespace offramp::nn {

void ExitRule::require_learned(bool exits_learn) const {
  if (is_learned(confidence) && !exits_learn)
    throw usage_error("confidence '" + std::string(confidence_name(confidence)) +
                      "' wants exits that learn one, and those of this network do not: their space must say "
                      "learned_confidence = true");
}

void ExitDecider::start(const ExitRule& rule, i64 samples, i64 classes) {
  rule_ = &rule;
  classes_ = classes;
  memory_.clear();
  log_sum_.clear();
  if (rule.remembers()) memory_.resize(std::size_t(samples));
  if (rule.cascade) log_sum_.resize(std::size_t(samples * classes));
  joined_.resize(rule.cascade ? std::size_t(classes) : 0);
}

// Logits of the geometric mean.
const float* ExitDecider::joined(i64 sample, Memory& memory, const float* logits, float temperature) {
  const double sharpness = 1 / double(temperature), most = *std::max_element(logits, logits + classes_);
  double sum = 0;
  for (i64 c = 0; c < classes_; ++c) sum += std::exp((double(logits[c]) - most) * sharpness);
  const double log_of_sum = std::log(sum);
  double* log_sum = log_sum_.data() + sample * classes_;
  ++memory.met;
  for (i64 c = 0; c < classes_; ++c) {
    log_sum[c] += (double(logits[c]) - most) * sharpness - log_of_sum;
    joined_[std::size_t(c)] = float(log_sum[c] / double(memory.met));
  }
  return joined_.data();
}

Decision ExitDecider::decide(i64 sample, i64 exit, const float* logits, float own) {
  float temperature = rule_->temperature.empty() ? 1.0f : rule_->temperature[std::size_t(exit)];
  if (rule_->cascade) {
    logits = joined(sample, memory_[std::size_t(sample)], logits, temperature);
    temperature = 1;
  }
  Decision decision = nn::decide(rule_->confidence, logits, classes_, temperature, own);
  if (memory_.empty()) return decision;
  Memory& memory = memory_[std::size_t(sample)];
  if (rule_->confidence == Confidence::cumulative || rule_->confidence == Confidence::learned_cumulative) {
    memory.doubt *= 1 - double(decision.confidence);
    decision.confidence = float(1 - memory.doubt);
  } else if (rule_->confidence == Confidence::patience) {
    memory.agreeing = decision.predicted == memory.predicted ? memory.agreeing + 1 : 1;
    memory.predicted = decision.predicted;
    decision.confidence = float(memory.agreeing);
  }
  return decision;
}

}  // namespace offramp::nn
