#include <algorithm>
#include <cmath>
#include <numeric>

#include "nas/thresholds/policy.h"
#include "nas/thresholds/tuner.h"

namespace offramp::nas {
namespace {

// Threshold at which the `wanted` surest of `staying` leave; those stay on are dropped from the list.
std::optional<float> let_go(const ExitTable& table, i64 exit, i64 wanted, std::vector<i64>& staying) {
  const auto confidence = [&](i64 s) { return table.confidence[std::size_t(s * table.exits + exit)]; };
  std::stable_sort(staying.begin(), staying.end(),
                   [&](i64 a, i64 b) { return confidence(a) > confidence(b); });
  wanted = std::min(wanted, i64(staying.size()));
  if (wanted == 0) return std::nullopt;
  const float threshold = confidence(staying[std::size_t(wanted - 1)]);
  std::erase_if(staying, [&](i64 s) { return confidence(s) >= threshold; });  // equal ones leave together
  return threshold;
}

}  // namespace

std::vector<CurvePoint> share_sweep(const ExitTable& table, const ExitCosts& costs) {
  constexpr int kSteps = 20;
  require_exit_table(table);
  require_exit_costs(costs, table.exits);
  ExitTables tables(table);
  std::vector<CurvePoint> points;
  for (int p = 1; p < 2 * kSteps; ++p) {
    const double q = double(p) / kSteps;
    std::vector<double> share(std::size_t(table.exits), 1.0);
    for (std::size_t e = 1; e < share.size(); ++e) share[e] = share[e - 1] * q;
    const double sum = std::accumulate(share.begin(), share.end(), 0.0);
    std::vector<i64> staying(std::size_t(table.samples), 0);
    std::iota(staying.begin(), staying.end(), i64{0});
    Thresholds thresholds(std::size_t(table.exits - 1));
    for (i64 e = 0; e + 1 < table.exits; ++e) {
      const i64 wanted = i64(std::floor(double(table.samples) * share[std::size_t(e)] / sum + 0.5));
      thresholds[std::size_t(e)] = 0.0f;  // an exit's answer depends on itself and on those before it
      thresholds[std::size_t(e)] = let_go(tables.at(thresholds), e, wanted, staying);
    }
    const PolicyResult result = apply_policy(tables.at(thresholds), costs, thresholds);
    points.push_back({thresholds, result.correct, result.total_cost});
  }
  return points;
}

}  // namespace offramp::nas
