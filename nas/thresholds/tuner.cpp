#include "nas/thresholds/tuner.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/error.h"
#include "nas/thresholds/policy.h"

namespace offramp::nas {

const CurvePoint& pick(std::span<const CurvePoint> curve, i64 samples, const TuneOptions& options) {
  if (curve.empty()) throw usage_error("thresholds: wanted an accuracy-cost curve, got an empty one");
  if (options.target) {
    std::size_t within = 0;
    while (within < curve.size() && (curve[within].total_cost + samples - 1) / samples <= *options.target)
      ++within;
    curve = curve.first(std::max<std::size_t>(within, 1));
  }
  const i64 floor = curve.back().correct - i64(std::floor(options.tolerance * double(samples) + 1e-9));
  for (const CurvePoint& point : curve)
    if (point.correct >= floor) return point;
  return curve.back();
}

CurvePoint tune(const ExitTable& table, const ExitCosts& costs, const TuneOptions& options) {
  return pick(accuracy_cost_curve(table, costs, options.quantiles), table.samples, options);
}

const CurvePoint& curve_knee(std::span<const CurvePoint> curve) {
  if (curve.empty()) throw usage_error("thresholds: wanted an accuracy-cost curve, got an empty one");
  const CurvePoint &first = curve.front(), &last = curve.back();
  const double cost = double(last.total_cost - first.total_cost),
               correct = double(last.correct - first.correct);
  const CurvePoint* best = &first;
  double best_height = 0;
  for (const CurvePoint& point : curve.subspan(1, curve.size() - 1)) {
    const double height =
        double(point.correct - first.correct) / correct - double(point.total_cost - first.total_cost) / cost;
    if (height > best_height) best = &point, best_height = height;
  }
  return *best;
}

CurvePoint tune_aebnas(const ExitTable& table, const ExitCosts& costs, const std::vector<bool>& enabled,
                       double target) {
  constexpr float kGrid[] = {0.1f, 0.2f};
  constexpr int kMaxEnabled = 12;
  const std::size_t early = std::size_t(std::max<i64>(table.exits, 1) - 1);
  const i64 on = std::count(enabled.begin(), enabled.end(), true);
  if (enabled.size() != early || on < 1 || on > kMaxEnabled)
    throw usage_error("thresholds: got " + std::to_string(on) + " enabled of " +
                      std::to_string(enabled.size()) + " early exits; wanted 1 to 12 of " +
                      std::to_string(early));
  if (!(target > 0)) throw usage_error("thresholds: the target must be above 0");
  i64 combinations = 1;
  for (i64 i = 0; i < on; ++i) combinations *= 3;
  std::optional<CurvePoint> best;
  double best_score = 0;
  for (i64 code = 0; code + 1 < combinations; ++code) {  // the last one is all off
    Thresholds thresholds(early);
    i64 rest = code;
    for (std::size_t e = 0; e < early; ++e)
      if (enabled[e]) {
        if (rest % 3 < 2) thresholds[e] = kGrid[rest % 3];
        rest /= 3;
      }
    const PolicyResult result = apply_policy(table, costs, thresholds);
    const double deviation = 100 * std::fabs(result.average_cost() - target) / target;
    const double score = 100 * result.accuracy() - 0.1 * deviation;
    const bool better =
        !best || score > best_score ||
        (score == best_score &&
         (result.total_cost < best->total_cost ||
          (result.total_cost == best->total_cost && larger_thresholds(thresholds, best->thresholds))));
    if (better) best = CurvePoint{thresholds, result.correct, result.total_cost}, best_score = score;
  }
  return *best;
}

}  // namespace offramp::nas
