#include "nas/search/front.h"

#include <algorithm>

#include "nas/search/dominance.h"

namespace offramp::nas {

bool Front::insert(i64 id, const Outcome& outcome) {
  const std::vector<double>* objectives = feasible_objectives(outcome);
  if (!objectives || std::get<Scored>(outcome).rungs_left > 0) return false;
  for (FrontPoint& point : points_) {
    if (point.objectives == *objectives) {
      const bool earlier = id < point.id;
      point.id = std::min(point.id, id);
      return earlier;
    }
    if (dominates(point.objectives, *objectives)) return false;
  }
  std::erase_if(points_, [&](const FrontPoint& point) { return dominates(*objectives, point.objectives); });
  const auto place = std::lower_bound(
      points_.begin(), points_.end(), *objectives,
      [](const FrontPoint& point, const std::vector<double>& o) { return point.objectives < o; });
  points_.insert(place, FrontPoint{id, *objectives});
  return true;
}

std::vector<std::vector<double>> Front::objectives() const {
  std::vector<std::vector<double>> all;
  all.reserve(points_.size());
  for (const FrontPoint& point : points_) all.push_back(point.objectives);
  return all;
}

const FrontPoint* front_knee(std::span<const FrontPoint> front) {
  if (front.empty()) return nullptr;
  std::vector<double> low = front[0].objectives, high = low;
  for (const FrontPoint& point : front)
    for (std::size_t m = 0; m < low.size(); ++m) {
      low[m] = std::min(low[m], point.objectives[m]);
      high[m] = std::max(high[m], point.objectives[m]);
    }
  const FrontPoint* best = nullptr;
  double best_sum = 0;
  for (const FrontPoint& point : front) {
    double sum = 0;
    for (std::size_t m = 0; m < low.size(); ++m)
      if (high[m] > low[m]) sum += (point.objectives[m] - low[m]) / (high[m] - low[m]);
    const bool tie_won = best && sum == best_sum &&
                         (point.objectives[0] < best->objectives[0] ||
                          (point.objectives[0] == best->objectives[0] && point.id < best->id));
    if (!best || sum < best_sum || tie_won) best = &point, best_sum = sum;
  }
  return best;
}

const FrontPoint* best_under(std::span<const FrontPoint> front, std::size_t limited, double limit) {
  const FrontPoint* best = nullptr;
  const auto better = [&](const FrontPoint& a, const FrontPoint& b) {
    if (a.objectives[0] != b.objectives[0]) return a.objectives[0] < b.objectives[0];
    if (a.objectives[limited] != b.objectives[limited]) return a.objectives[limited] < b.objectives[limited];
    return a.id < b.id;
  };
  for (const FrontPoint& point : front)
    if (point.objectives[limited] <= limit && (!best || better(point, *best))) best = &point;
  return best;
}

}  // namespace offramp::nas
