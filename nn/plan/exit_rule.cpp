#include "nn/plan/exit_rule.h"

namespace offramp::nn {

void ExitDecider::start(const ExitRule& rule, i64 samples, i64 classes) {
  rule_ = &rule;
  classes_ = classes;
  memory_.clear();
  if (rule.remembers()) memory_.resize(std::size_t(samples));
}

Decision ExitDecider::decide(i64 sample, const float* logits) {
  Decision decision = nn::decide(rule_->confidence, logits, classes_);
  if (memory_.empty()) return decision;
  Memory& memory = memory_[std::size_t(sample)];
  if (rule_->confidence == Confidence::cumulative) {
    memory.doubt *= 1 - double(decision.confidence);
    decision.confidence = float(1 - memory.doubt);
  } else {
    memory.agreeing = decision.predicted == memory.predicted ? memory.agreeing + 1 : 1;
    memory.predicted = decision.predicted;
    decision.confidence = float(memory.agreeing);
  }
  return decision;
}

}  // namespace offramp::nn
