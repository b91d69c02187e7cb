#include "nas/thresholds/grid.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace offramp::nas {
namespace {

// Above low and not above high, as far from both as floats allow: a confidence that differs in the last bits
// on another target still falls on its own side.
float between(float low, float high) {
  const float middle = low / 2 + high / 2;
  return middle > low && middle <= high ? middle : high;
}

}  // namespace

std::vector<float> threshold_grid(const ExitTable& table, i64 exit, i64 limit, bool nobody) {
  if (nobody) {
    std::vector<float> grid = threshold_grid(table, exit, limit);
    float most = table.confidence[std::size_t(exit)];
    for (i64 s = 1; s < table.samples; ++s) most = std::max(most, table.confidence[s * table.exits + exit]);
    grid.push_back(std::max(most + 1, std::nextafter(most, std::numeric_limits<float>::max())));
    return grid;
  }
  const i64 n = table.samples;
  std::vector<float> sorted(static_cast<std::size_t>(n));
  for (i64 s = 0; s < n; ++s) sorted[s] = table.confidence[s * table.exits + exit];
  std::sort(sorted.begin(), sorted.end());

  std::vector<i64> cuts;  // first sample above each cut
  for (i64 s = 1; s < n; ++s)
    if (sorted[s] != sorted[s - 1]) cuts.push_back(s);

  std::vector<float> grid{sorted[0] >= 0 ? 0.0f : std::numeric_limits<float>::lowest()};
  const auto add = [&](i64 cut) { grid.push_back(between(sorted[cut - 1], sorted[cut])); };
  if (limit <= 0 || i64(cuts.size()) < limit) {
    for (i64 cut : cuts) add(cut);
    return grid;
  }
  // The cut nearest to each quantile; those that fall together count once.
  i64 last = 0;
  for (i64 q = 1; q < limit; ++q) {
    const i64 wanted = q * n / limit;
    auto cut = std::lower_bound(cuts.begin(), cuts.end(), wanted);
    if (cut == cuts.end() || (cut != cuts.begin() && wanted - cut[-1] < *cut - wanted)) --cut;
    if (*cut != last) add(last = *cut);
  }
  return grid;
}

std::vector<i32> threshold_ranks(const ExitTable& table, i64 exit, const std::vector<float>& grid) {
  std::vector<i32> ranks(static_cast<std::size_t>(table.samples));
  for (i64 s = 0; s < table.samples; ++s)
    ranks[s] = i32(std::upper_bound(grid.begin(), grid.end(), table.confidence[s * table.exits + exit]) -
                   grid.begin());
  return ranks;
}

}  // namespace offramp::nas
