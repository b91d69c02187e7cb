// The exit policy: a sample leaves at the first enabled exit whose confidence is >= its threshold, else at
// the end.
#pragma once
#include <span>

#include "nas/thresholds/exit_table.h"

namespace offramp::nas {

// Index of the exit taken. `confidence` has one value per early exit at least.
i64 exit_taken(const Thresholds& thresholds, std::span<const float> confidence);

// Cost of leaving at each exit: bodies up to it, its own head, and the heads of all earlier enabled exits.
// An exit that is off still has a number (its head counted in), though nobody leaves there.
std::vector<i64> costs_of_leaving(const ExitCosts& costs, const Thresholds& thresholds);
// The other accounting of the literature (NACHOS): bodies up to it and its own head only.
std::vector<i64> costs_of_leaving_own_head(const ExitCosts& costs);

// What a policy does on a table: exact integers over the samples seen.
struct PolicyResult {
  i64 samples = 0, correct = 0;
  i64 total_cost = 0, total_cost_own_head = 0;
  std::vector<i64> left, correct_of_left;  // per exit, the final one included
  friend bool operator==(const PolicyResult&, const PolicyResult&) = default;

  double accuracy() const { return double(correct) / double(samples); }
  double average_cost() const { return double(total_cost) / double(samples); }
};
PolicyResult apply_policy(const ExitTable& table, const ExitCosts& costs, const Thresholds& thresholds);

// Of two threshold vectors the "larger": lexicographic, off above every number. Breaks ties everywhere.
bool larger_thresholds(const Thresholds& a, const Thresholds& b);

}  // namespace offramp::nas
