// How sure a classifier is of one sample: the measure that early-exit thresholds are compared with.
#pragma once
#include <limits>
#include <string_view>

#include "kernels/types.h"

namespace offramp::nn {

enum class Confidence : u8 {
  margin,           // softmax top-1 minus top-2, in [0,1]
  max_probability,  // softmax top-1
  entropy,          // 1 - H(softmax) / log(classes), in [0,1]: higher is surer, like the others
  // These two depend on the exits that the sample met before (nn/plan/exit_rule.h).
  patience,    // how many exits in a row, this one the last, gave the same class: 1, 2, ...
  cumulative,  // probability of having left by now: 1 - prod (1 - softmax top-1) over the exits met
  // These need exits that learn a confidence of their own (Plan::learned_confidence), a logit.
  learned,            // its sigmoid
  learned_cumulative  // cumulative, with that in place of softmax top-1
};

// In the order in which they are to be listed.
inline constexpr Confidence kConfidences[] = {
    Confidence::margin,     Confidence::max_probability, Confidence::entropy,           Confidence::patience,
    Confidence::cumulative, Confidence::learned,         Confidence::learned_cumulative};

// Measures made of a learned confidence.
constexpr bool is_learned(Confidence kind) {
  return kind == Confidence::learned || kind == Confidence::learned_cumulative;
}

std::string_view confidence_name(Confidence kind);
// Throws Error(usage) for an unknown name. "max_prob" is short for max_probability.
Confidence parse_confidence(std::string_view name);

struct Decision {
  i64 predicted;  // index of the largest logit, the first of equal ones
  float confidence;
};

// Of one classifier alone; patience and cumulative: its max_probability, from which they are made, and
// learned_cumulative: the learned one. logits [classes], classes >= 2, divided by `temperature` > 0;
// `own`: the logit of the learned confidence, by default of one that is certain, as the final exit is. The
// same float for the same logits wherever it is computed: thresholds tuned offline pick the same exits at run
// time.
Decision decide(Confidence kind, const float* logits, i64 classes, float temperature = 1,
                float own = std::numeric_limits<float>::infinity());

// The logit of the confidence that an exit learned: behind the classes in its answer [outputs], infinite
// where there is none.
inline float own_confidence(const float* answer, i64 classes, i64 outputs) {
  return outputs > classes ? answer[classes] : std::numeric_limits<float>::infinity();
}

}  // namespace offramp::nn
