#include "nas/thresholds/tuner.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "kernels/nearest.h"
#include "nas/thresholds/policy.h"

namespace offramp::nas {

std::vector<std::string> tune_kinds() { return {"exact", "coordinate", "shares", "grid", "shared", "genes"}; }

std::string tune_kind_name(TuneKind kind) { return tune_kinds()[std::size_t(kind)]; }

TuneKind parse_tune_kind(const std::string& name) {
  const std::vector<std::string> kinds = tune_kinds();
  for (std::size_t k = 0; k < kinds.size(); ++k)
    if (kinds[k] == name) return TuneKind(k);
  throw usage_error("unknown tuner '" + name + "'" + did_you_mean(name, kinds));
}

CurvePoint tune(const ExitTable& table, const ExitCosts& costs, const TuneOptions& options) {
  switch (options.kind) {
    case TuneKind::coordinate:
      return coordinate_search(table, costs, options);
    case TuneKind::shares:
      return pick(non_dominated(share_sweep(table, costs)), table.samples, options);
    case TuneKind::grid:
      return grid_search(table, costs, options);
    case TuneKind::shared:
      return shared_threshold(table, costs, options);
    case TuneKind::genes: {
      const PolicyResult result = apply_policy(table, costs, options.genes);
      return {options.genes, result.correct, result.total_cost};
    }
    case TuneKind::exact:
      break;
  }
  return pick(accuracy_cost_curve(table, costs, options.quantiles), table.samples, options);
}

const CurvePoint& pick(std::span<const CurvePoint> curve, i64 samples, const TuneOptions& options) {
  if (curve.empty()) throw usage_error("thresholds: wanted an accuracy-cost curve, got an empty one");
  if (options.target) {
    std::size_t within = 0;
    while (within < curve.size() && average_up(curve[within].total_cost, samples) <= *options.target)
      ++within;
    curve = curve.first(std::max<std::size_t>(within, 1));
  }
  const i64 floor = curve.back().correct - i64(std::floor(options.tolerance * double(samples) + 1e-9));
  for (const CurvePoint& point : curve)
    if (point.correct >= floor) return point;
  return curve.back();
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

}  // namespace offramp::nas
