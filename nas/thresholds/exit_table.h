// What tuning works on: every sample run to the end once, confidence and answer of each exit kept, and what
// it costs to leave at each exit.
#pragma once
#include <functional>
#include <map>
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

  // Rules that look back (patience, cumulative confidence) answer differently by which early exits are in
  // use: gives the table for exactly these, [exits - 1]. Empty: the table is the same whatever is in use. The
  // table itself is the one with all of them.
  std::function<ExitTable(const std::vector<bool>& in_use)> among;

  bool correct(i64 sample, i64 exit) const { return predicted[sample * exits + exit] == label[sample]; }
};

// Cost of one sample in whole units, whichever they are (MACs, picoseconds): body e leads from exit e-1 (or
// the input) to exit e, head e is that exit.
struct ExitCosts {
  std::vector<i64> body, head;
};

// One per early exit (exits - 1 of them). Null: the exit is off, its head is neither run nor charged.
using Thresholds = std::vector<std::optional<float>>;

std::vector<bool> exits_in_use(const Thresholds& thresholds);

// The tables of `among`, each made once. `table` must outlive it.
class ExitTables {
 public:
  explicit ExitTables(const ExitTable& table) : all_(table) {}
  // What the exits say when those with a threshold are in use.
  const ExitTable& at(const std::vector<bool>& in_use);
  const ExitTable& at(const Thresholds& thresholds) { return at(exits_in_use(thresholds)); }
  const ExitTable& all() const { return all_; }
  bool look_back() const { return bool(all_.among); }

 private:
  const ExitTable& all_;
  std::map<std::vector<bool>, ExitTable> made_;
};

// Throw Error, once, at the door: sizes, no samples, confidences of early exits that are not finite, negative
// costs.
void require_exit_table(const ExitTable& table);
void require_exit_costs(const ExitCosts& costs, i64 exits);

}  // namespace offramp::nas
