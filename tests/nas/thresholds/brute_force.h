// Every choice of thresholds, counted one after the other: what tuners are held against.
#pragma once
#include <algorithm>
#include <vector>

#include "nas/thresholds/curve.h"
#include "nas/thresholds/grid.h"
#include "nas/thresholds/policy.h"

namespace offramp::nas::testing {

using Choices = std::vector<std::vector<std::optional<float>>>;

inline std::vector<CurvePoint> every_point(const ExitTable& table, const ExitCosts& costs,
                                           const Choices& choices) {
  std::vector<CurvePoint> all;
  std::vector<std::size_t> at(choices.size(), 0);
  for (;;) {
    Thresholds thresholds;
    for (std::size_t e = 0; e < at.size(); ++e) thresholds.push_back(choices[e][at[e]]);
    const PolicyResult result = apply_policy(table, costs, thresholds);
    all.push_back({thresholds, result.correct, result.total_cost});
    std::size_t e = 0;
    while (e < at.size() && ++at[e] == choices[e].size()) at[e++] = 0;
    if (e == at.size()) return all;
  }
}

inline std::vector<CurvePoint> best_of(std::vector<CurvePoint> all) {
  std::sort(all.begin(), all.end(), [](const CurvePoint& a, const CurvePoint& b) {
    if (a.total_cost != b.total_cost) return a.total_cost < b.total_cost;
    if (a.correct != b.correct) return a.correct > b.correct;
    return larger_thresholds(a.thresholds, b.thresholds);
  });
  std::vector<CurvePoint> curve;
  for (const CurvePoint& p : all)
    if (curve.empty() || p.correct > curve.back().correct) curve.push_back(p);
  return curve;
}

// The grid of the implementation and off.
inline Choices grid_choices(const ExitTable& table, i64 quantiles) {
  Choices choices;
  for (i64 e = 0; e + 1 < table.exits; ++e) {
    choices.push_back({std::nullopt});
    for (float t : threshold_grid(table, e, quantiles)) choices.back().push_back(t);
  }
  return choices;
}

}  // namespace offramp::nas::testing
