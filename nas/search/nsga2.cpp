#include "nas/search/nsga2.h"

#include <algorithm>
#include <numeric>

#include "nas/search/dominance.h"

namespace offramp::nas {

std::vector<std::size_t> Nsga2::survivors(std::span<const Outcome> pool, i64 count, Rng&) {
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
