// How sure a classifier is of one sample: the measure that early-exit thresholds are compared with.
#pragma once
#include <string_view>

#include "kernels/types.h"

namespace offramp::nn {

enum class Confidence : u8 {
  margin,           // softmax top-1 minus top-2, in [0,1]
  max_probability,  // softmax top-1
  entropy           // 1 - H(softmax) / log(classes), in [0,1]: higher is surer, like the others
};

std::string_view confidence_name(Confidence kind);
Confidence parse_confidence(std::string_view name);  // throws Error(usage)

struct Decision {
  i64 predicted;  // index of the largest logit, the first of equal ones
  float confidence;
};

// logits [classes], classes >= 2. A sample leaves where confidence >= threshold. The same float for the same
// logits wherever it is computed: thresholds tuned offline pick the same exits at run time.
Decision decide(Confidence kind, const float* logits, i64 classes);

}  // namespace offramp::nn
