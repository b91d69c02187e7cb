// Who is better than whom when there are several objectives, all minimised.
// Source: Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II".
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "nas/search/candidate.h"

namespace offramp::nas {

// a is nowhere worse than b and somewhere better. Sizes must be equal; no NaN.
bool dominates(std::span<const double> a, std::span<const double> b);

// Deb's feasibility rules, and failure below them: scored before failed, feasible before infeasible, the
// smaller violation before the larger, then dominates(). Two failed candidates are equal.
bool constrained_dominates(const Outcome& a, const Outcome& b);

// Indices by rank: rank 0 is dominated by nobody, rank r by somebody of rank r-1. Inside a rank ascending.
std::vector<std::vector<std::size_t>> non_dominated_sort(std::span<const Outcome> outcomes);

// Distance to the neighbours on either side, summed over objectives, each scaled to [0,1] inside `points`;
// the ends of each objective are infinitely far. Points with equal coordinates are ranked by their order.
std::vector<double> crowding_distance(std::span<const std::vector<double>> points);

// Indices of the `count` best of a pool that is scored throughout, best first: by rank, inside a rank widest
// apart first, ties in the order given.
std::vector<std::size_t> select_by_crowding(std::span<const Outcome> pool, i64 count);

}  // namespace offramp::nas
