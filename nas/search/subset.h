// Which few of many promising candidates to evaluate next, given what is known already. All minimised.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "kernels/rng.h"

namespace offramp::nas {

struct GapSubsetOptions {
  std::size_t objective = 1;  // along which gaps are evened out
  i64 population = 100, generations = 60;
};

// `count` indices into `candidates`, ascending (all when there are no more than that), so that the gaps along
// one objective between the points of `front` and the chosen ones vary least: a genetic algorithm over
// subsets. Source: Lu et al. 2020 (NSGANetV2).
std::vector<std::size_t> select_by_gaps(std::span<const std::vector<double>> front,
                                        std::span<const std::vector<double>> candidates, i64 count, Rng rng,
                                        const GapSubsetOptions& options = {});

// The same by hypervolume: one after the other, whoever adds most to what front and chosen ones dominate
// below a point 10 % beyond the worst of all, objectives scaled to their range. Ties, and those who add
// nothing, in the order given. In order of choice.
std::vector<std::size_t> select_by_hypervolume(std::span<const std::vector<double>> front,
                                               std::span<const std::vector<double>> candidates, i64 count);

}  // namespace offramp::nas
