// How the exits of a network decide: the measure, and what a sample carries from exit to exit.
#pragma once
#include <vector>

#include "nn/plan/confidence.h"

namespace offramp::nn {

// A sample leaves at the first exit in use whose confidence is >= its threshold, else at the end.
//
// patience: leave when so many exits in a row agree (Zhou et al. 2020, PABEE). cumulative: with c_i the
// top-1 probability of exit i, p_i = c_i * prod_{j<i} (1 - c_j) is the probability of leaving exactly there;
// leave when the sum of p_1..p_i, which is 1 - prod (1 - c_j), reaches the threshold (Gambella et al. 2024,
// NACHOS); learned_cumulative takes c_i from the exit's own output, as NACHOS does. All look back at the
// exits that are in use; one that is off has no say.
struct ExitRule {
  Confidence confidence = Confidence::margin;
  // Of each exit, the final one included: its logits are divided by it. Empty: 1 everywhere.
  std::vector<float> temperature;
  // An exit answers with the geometric mean of its own probabilities and those of the exits met before, so
  // that nothing computed is wasted (Wolczyk et al. 2021, Zero Time Waste; there the mean has learned
  // weights).
  bool cascade = false;
  friend bool operator==(const ExitRule&, const ExitRule&) = default;

  // Throws Error(usage) for a learned measure where exits learn none.
  void require_learned(bool exits_learn) const;

  // Whether an exit's answer depends on which exits before it are in use.
  bool remembers() const {
    return cascade || confidence == Confidence::patience || confidence == Confidence::cumulative ||
           confidence == Confidence::learned_cumulative;
  }
};

// Decisions for a group of samples. Runner and tuner both ask here, so that they cannot differ.
class ExitDecider {
 public:
  // Samples 0 .. samples-1, none of which has met an exit. `rule` must outlive the use.
  void start(const ExitRule& rule, i64 samples, i64 classes);

  // What `sample` is told at `exit`, the next one that it meets, from that exit's logits [classes] and the
  // logit of its own confidence, which only learned measures look at. Temperatures are for classes alone.
  Decision decide(i64 sample, i64 exit, const float* logits, float own);

 private:
  struct Memory {
    double doubt = 1;  // prod (1 - c_j)
    i64 predicted = -1, agreeing = 0, met = 0;
  };
  const float* joined(i64 sample, Memory& memory, const float* logits, float temperature);

  const ExitRule* rule_ = nullptr;
  i64 classes_ = 0;
  std::vector<Memory> memory_;   // empty for a rule that remembers nothing
  std::vector<double> log_sum_;  // cascade: [samples][classes], of the probabilities so far
  std::vector<float> joined_;
};

}  // namespace offramp::nn
