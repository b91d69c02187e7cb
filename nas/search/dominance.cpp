#include "nas/search/dominance.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace offramp::nas {

bool dominates(std::span<const double> a, std::span<const double> b) {
  bool better = false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] > b[i]) return false;
    better |= a[i] < b[i];
  }
  return better;
}

bool constrained_dominates(const Outcome& a, const Outcome& b) {
  const Scored *x = std::get_if<Scored>(&a), *y = std::get_if<Scored>(&b);
  if (!x || !y) return x && !y;
  if (x->violation > 0 || y->violation > 0) return x->violation < y->violation;
  return dominates(x->objectives, y->objectives);
}

std::vector<std::vector<std::size_t>> non_dominated_sort(std::span<const Outcome> outcomes) {
  const std::size_t n = outcomes.size();
  std::vector<std::vector<std::size_t>> beaten(n);  // whom i dominates
  std::vector<std::size_t> beaten_by(n, 0);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) {
      if (constrained_dominates(outcomes[i], outcomes[j])) {
        beaten[i].push_back(j);
        ++beaten_by[j];
      } else if (constrained_dominates(outcomes[j], outcomes[i])) {
        beaten[j].push_back(i);
        ++beaten_by[i];
      }
    }
  std::vector<std::vector<std::size_t>> ranks;
  std::vector<std::size_t> current;
  for (std::size_t i = 0; i < n; ++i)
    if (beaten_by[i] == 0) current.push_back(i);
  while (!current.empty()) {
    std::vector<std::size_t> next;
    for (std::size_t i : current)
      for (std::size_t j : beaten[i])
        if (--beaten_by[j] == 0) next.push_back(j);
    std::sort(next.begin(), next.end());
    ranks.push_back(std::move(current));
    current = std::move(next);
  }
  return ranks;
}

std::vector<double> crowding_distance(std::span<const std::vector<double>> points) {
  const std::size_t n = points.size();
  std::vector<double> distance(n, 0);
  if (n == 0) return distance;
  std::vector<std::size_t> order(n);
  for (std::size_t m = 0; m < points[0].size(); ++m) {
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return points[a][m] < points[b][m]; });
    const double range = points[order[n - 1]][m] - points[order[0]][m];
    distance[order[0]] = distance[order[n - 1]] = std::numeric_limits<double>::infinity();
    if (!(range > 0)) continue;
    for (std::size_t k = 1; k + 1 < n; ++k)
      distance[order[k]] += (points[order[k + 1]][m] - points[order[k - 1]][m]) / range;
  }
  return distance;
}

std::vector<std::size_t> select_by_crowding(std::span<const Outcome> pool, i64 count) {
  std::vector<std::size_t> chosen;
  for (const std::vector<std::size_t>& rank : non_dominated_sort(pool)) {
    std::vector<std::vector<double>> points;
    for (std::size_t i : rank) points.push_back(std::get<Scored>(pool[i]).objectives);
    const std::vector<double> distance = crowding_distance(points);
    std::vector<std::size_t> order(rank.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return distance[a] > distance[b]; });
    for (std::size_t k : order) {
      if (i64(chosen.size()) == count) return chosen;
      chosen.push_back(rank[k]);
    }
  }
  return chosen;
}

}  // namespace offramp::nas
