// The tuners of published searches, for comparison with them.
#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/error.h"
#include "nas/thresholds/policy.h"
#include "nas/thresholds/tuner.h"

namespace offramp::nas {
namespace {

// The tables of a rule that looks back are made once for all points tried.
class Tables {
 public:
  Tables(const ExitTable& table, const ExitCosts& costs) : tables_(table), costs_(costs) {}
  CurvePoint at(const Thresholds& thresholds) {
    const PolicyResult result = apply_policy(tables_.at(thresholds), costs_, thresholds);
    return {thresholds, result.correct, result.total_cost};
  }

 private:
  ExitTables tables_;
  const ExitCosts& costs_;
};

// Of equally good ones.
bool preferred(const CurvePoint& a, const CurvePoint& b) {
  return a.total_cost != b.total_cost ? a.total_cost < b.total_cost
                                      : larger_thresholds(a.thresholds, b.thresholds);
}

double score(const CurvePoint& point, i64 samples, i64 target, bool two_sided) {
  const double over = (double(point.total_cost) / double(samples) - double(target)) / double(target);
  const double deviation = two_sided ? std::abs(over) : std::max(over, 0.0);
  return 100 * double(point.correct) / double(samples) - 0.1 * 100 * deviation;
}

}  // namespace

CurvePoint grid_search(const ExitTable& table, const ExitCosts& costs, const TuneOptions& options) {
  constexpr float kGrid[] = {0.1f, 0.2f};
  constexpr std::size_t kMostExits = 12;
  require_exit_table(table);
  const std::size_t early = std::size_t(table.exits - 1);
  if (early > kMostExits)
    throw usage_error("thresholds: a grid over " + std::to_string(early) +
                      " early exits is too large; wanted at most " + std::to_string(kMostExits));
  if (!options.target || *options.target <= 0)
    throw usage_error("thresholds: a grid is tuned towards a target cost above 0, and there is none");
  i64 combinations = 1;
  for (std::size_t e = 0; e < early; ++e) combinations *= 3;
  Tables tables(table, costs);
  std::optional<CurvePoint> best;
  double best_score = 0;
  // The last one is all off.
  for (i64 code = 0; code < std::max<i64>(combinations - 1, 1); ++code) {
    Thresholds thresholds(early);
    i64 rest = code;
    for (std::size_t e = 0; e < early; ++e, rest /= 3)
      if (rest % 3 < 2) thresholds[e] = kGrid[rest % 3];
    CurvePoint point = tables.at(thresholds);
    const double got = score(point, table.samples, *options.target, options.two_sided);
    if (!best || got > best_score || (got == best_score && preferred(point, *best)))
      best = std::move(point), best_score = got;
  }
  return *best;
}

CurvePoint shared_threshold(const ExitTable& table, const ExitCosts& costs, const TuneOptions& options) {
  constexpr int kShared[] = {1, 2, 3, 5, 6, 7, 8}, kFirst = 7, kLeast = 1;  // tenths: steps are exact
  require_exit_table(table);
  const i64 early = table.exits - 1;
  Tables tables(table, costs);
  const auto at = [&](const std::vector<int>& tenths) {
    Thresholds thresholds;
    for (int t : tenths) thresholds.push_back(float(t) / 10);
    return tables.at(thresholds);
  };
  std::vector<int> tenths;
  std::optional<CurvePoint> best;
  for (int shared : kShared) {
    std::vector<int> all(std::size_t(early), shared);
    if (early > 0) all[0] = std::max(shared, kFirst);
    CurvePoint point = at(all);
    if (!best || point.correct > best->correct) best = std::move(point), tenths = std::move(all);
  }
  const auto accurate = [&](const CurvePoint& p) {
    return double(p.correct) >= options.min_accuracy * double(table.samples);
  };
  const auto within = [&](const CurvePoint& p) {
    return !options.target || average_up(p.total_cost, table.samples) <= *options.target;
  };
  if (!accurate(*best)) return *best;
  for (i64 e = early - 1; e >= 0; --e)
    while (!within(*best) && tenths[std::size_t(e)] > kLeast) {
      std::vector<int> lowered = tenths;
      --lowered[std::size_t(e)];
      CurvePoint point = at(lowered);
      if (!accurate(point)) break;
      best = std::move(point), tenths = std::move(lowered);
    }
  return *best;
}

}  // namespace offramp::nas
