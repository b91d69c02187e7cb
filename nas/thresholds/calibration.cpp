#include "nas/thresholds/calibration.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/error.h"

namespace offramp::nas {
namespace {

constexpr int kOctaves = 8, kPerOctave = 64;

// Ascending in i, exact in float; 1 is among them.
float temperature_at(int i) {
  return std::ldexp(1.0f + float(i % kPerOctave) / kPerOctave, i / kPerOctave - kOctaves / 2);
}

}  // namespace

double negative_log_likelihood(std::span<const float> logits, std::span<const i32> labels, i64 exits,
                               i64 classes, i64 exit, float temperature) {
  const double sharpness = 1 / double(temperature);
  double total = 0;
  for (std::size_t s = 0; s < labels.size(); ++s) {
    const float* row = logits.data() + (i64(s) * exits + exit) * classes;
    const double most = *std::max_element(row, row + classes);
    double sum = 0;
    for (i64 c = 0; c < classes; ++c) sum += std::exp((double(row[c]) - most) * sharpness);
    total += std::log(sum) - (double(row[labels[s]]) - most) * sharpness;
  }
  return total / double(labels.size());
}

std::vector<float> fit_temperatures(std::span<const float> logits, std::span<const i32> labels, i64 exits,
                                    i64 classes) {
  if (labels.empty() || exits < 1 || classes < 1 ||
      i64(logits.size()) != i64(labels.size()) * exits * classes)
    throw usage_error("calibration: got " + std::to_string(logits.size()) + " logits for " +
                      std::to_string(labels.size()) + " labels, " + std::to_string(exits) + " exits and " +
                      std::to_string(classes) + " classes");
  std::vector<float> temperatures;
  for (i64 e = 0; e < exits; ++e) {
    const auto loss = [&](int i) {
      return negative_log_likelihood(logits, labels, exits, classes, e, temperature_at(i));
    };
    // Where the loss is flat, towards the higher temperature: the less is claimed.
    int low = 0, high = kOctaves * kPerOctave;
    while (low < high) {
      const int middle = (low + high) / 2;
      if (loss(middle) < loss(middle + 1))
        high = middle;
      else
        low = middle + 1;
    }
    temperatures.push_back(temperature_at(low));
  }
  return temperatures;
}

}  // namespace offramp::nas
