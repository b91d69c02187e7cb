// What tuning works on: every sample run to the end once, confidence and answer of each exit kept, and what
// it costs to leave at each exit.
#pragma once
#include <optional>
#include <vector>

#include "kernels/types.h"

namespace offramp::nas {

// exits counts the final one, which is the last; its confidence is never read.
struct ExitTable {
  i64 samples = 0, exits = 0;
  std::vector<float> confidence;  // [samples][exits], larger is surer; any finite value
  std::vector<i32> predicted;     // [samples][exits]
  std::vector<i32> label;         // [samples]

  bool correct(i64 sample, i64 exit) const { return predicted[sample * exits + exit] == label[sample]; }
};

// Exact MACs of one sample: body e leads from exit e-1 (or the input) to exit e, head e is that exit.
struct ExitCosts {
  std::vector<i64> body, head;
};

// One per early exit (exits - 1 of them). Null: the exit is off, its head is neither run nor charged.
using Thresholds = std::vector<std::optional<float>>;

// Throw Error, once, at the door: sizes, no samples, confidences of early exits that are not finite, negative
// costs.
void require_exit_table(const ExitTable& table);
void require_exit_costs(const ExitCosts& costs, i64 exits);

}  // namespace offramp::nas
