#include "nas/thresholds/policy.h"

#include <string>

#include "kernels/error.h"

namespace offramp::nas {

i64 exit_taken(const Thresholds& thresholds, std::span<const float> confidence) {
  for (std::size_t e = 0; e < thresholds.size(); ++e)
    if (thresholds[e] && confidence[e] >= *thresholds[e]) return i64(e);
  return i64(thresholds.size());
}

std::vector<i64> costs_of_leaving(const ExitCosts& costs, const Thresholds& thresholds) {
  std::vector<i64> cost(costs.body.size());
  i64 walked = 0;
  for (std::size_t e = 0; e < cost.size(); ++e) {
    walked += costs.body[e];
    cost[e] = walked + costs.head[e];
    if (e < thresholds.size() && thresholds[e]) walked += costs.head[e];
  }
  return cost;
}

std::vector<i64> costs_of_leaving_own_head(const ExitCosts& costs) {
  return costs_of_leaving(costs, Thresholds(costs.body.size() - 1));
}

PolicyResult apply_policy(const ExitTable& table, const ExitCosts& costs, const Thresholds& thresholds) {
  require_exit_table(table);
  require_exit_costs(costs, table.exits);
  if (i64(thresholds.size()) != table.exits - 1)
    throw usage_error("thresholds: got " + std::to_string(thresholds.size()) + "; wanted one for each of " +
                      std::to_string(table.exits - 1) + " early exits");
  if (table.among) return apply_policy(table.among(exits_in_use(thresholds)), costs, thresholds);
  PolicyResult result{.samples = table.samples};
  result.left.assign(std::size_t(table.exits), 0);
  result.correct_of_left = result.left;
  for (i64 s = 0; s < table.samples; ++s) {
    const i64 exit =
        exit_taken(thresholds, std::span(table.confidence).subspan(s * table.exits, table.exits));
    ++result.left[exit];
    result.correct_of_left[exit] += table.correct(s, exit);
  }
  const std::vector<i64> cost = costs_of_leaving(costs, thresholds), own = costs_of_leaving_own_head(costs);
  for (i64 e = 0; e < table.exits; ++e) {
    result.correct += result.correct_of_left[e];
    result.total_cost += result.left[e] * cost[e];
    result.total_cost_own_head += result.left[e] * own[e];
  }
  return result;
}

bool larger_thresholds(const Thresholds& a, const Thresholds& b) {
  for (std::size_t e = 0; e < a.size(); ++e) {
    if (a[e] == b[e]) continue;
    if (!a[e] || !b[e]) return !a[e];
    return *a[e] > *b[e];
  }
  return false;
}

}  // namespace offramp::nas
