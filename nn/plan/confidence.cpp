#include "nn/plan/confidence.h"

#include <cmath>
#include <string>

#include "kernels/error.h"

namespace offramp::nn {

std::string_view confidence_name(Confidence kind) {
  switch (kind) {
    case Confidence::margin:
      return "margin";
    case Confidence::max_probability:
      return "max_probability";
    case Confidence::entropy:
      return "entropy";
  }
  return "?";
}

Confidence parse_confidence(std::string_view name) {
  for (Confidence kind : {Confidence::margin, Confidence::max_probability, Confidence::entropy})
    if (name == confidence_name(kind)) return kind;
  throw usage_error("unknown confidence '" + std::string(name) +
                    "': expected margin, max_probability or entropy");
}

Decision decide(Confidence kind, const float* logits, i64 classes) {
  i64 best = 0, second = -1;
  for (i64 c = 1; c < classes; ++c) {
    if (logits[c] > logits[best]) {
      second = best;
      best = c;
    } else if (second < 0 || logits[c] > logits[second]) {
      second = c;
    }
  }
  // Double inside, one rounding at the end.
  double sum = 0, weighted = 0;
  for (i64 c = 0; c < classes; ++c) {
    const double shifted = double(logits[c]) - double(logits[best]), e = std::exp(shifted);
    sum += e;
    weighted += e * shifted;
  }
  double value = 1 / sum;
  if (kind == Confidence::margin && second >= 0)
    value = (1 - std::exp(double(logits[second]) - double(logits[best]))) / sum;
  if (kind == Confidence::entropy)
    value = classes > 1 ? 1 - (std::log(sum) - weighted / sum) / std::log(double(classes)) : 1;
  return {best, float(value)};
}

}  // namespace offramp::nn
