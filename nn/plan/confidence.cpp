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
    case Confidence::patience:
      return "patience";
    case Confidence::cumulative:
      return "cumulative";
    case Confidence::learned:
      return "learned";
    case Confidence::learned_cumulative:
      return "learned_cumulative";
  }
  return "?";
}

Confidence parse_confidence(std::string_view name) {
  std::string list;
  for (Confidence kind : kConfidences) {
    if (name == confidence_name(kind)) return kind;
    list += (list.empty() ? "" : ", ") + std::string(confidence_name(kind));
  }
  if (name == "max_prob") return Confidence::max_probability;
  throw usage_error("unknown confidence '" + std::string(name) + "': expected one of " + list);
}

Decision decide(Confidence kind, const float* logits, i64 classes, float temperature, float own) {
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
  const double sharpness = 1 / double(temperature);  // 1: exact, so that no temperature leaves no trace
  const auto below_best = [&](i64 c) { return (double(logits[c]) - double(logits[best])) * sharpness; };
  double sum = 0, weighted = 0;
  for (i64 c = 0; c < classes; ++c) {
    const double shifted = below_best(c), e = std::exp(shifted);
    sum += e;
    weighted += e * shifted;
  }
  double value = 1 / sum;
  if (kind == Confidence::margin && second >= 0) value = (1 - std::exp(below_best(second))) / sum;
  if (kind == Confidence::entropy)
    value = classes > 1 ? 1 - (std::log(sum) - weighted / sum) / std::log(double(classes)) : 1;
  if (is_learned(kind)) value = 1 / (1 + std::exp(-double(own)));
  return {best, float(value)};
}

}  // namespace offramp::nn
