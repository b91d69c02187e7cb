// Successive halving of the candidates proposed together: all are trained for a few epochs, the best 1/eta of
// them go on to eta times as many, and so on. One training of candidate.epochs with one schedule, stopped at
// rungs: who reaches the end is the network that it would be without halving, bit for bit.
// Source: Jamieson & Talwalkar 2016; with several objectives the best are those of NSGA-II.
#pragma once
#include <span>
#include <vector>

#include "nas/search/candidate.h"
#include "nas/search/config.h"

namespace offramp::nas {

// Epochs behind a candidate at each rung, ascending; the last is candidate.epochs, and the only one without
// candidate.halving. Throws Error(usage) when there are not enough epochs for the rungs wanted.
std::vector<i64> rung_epochs(const SearchConfig& config);

// Who goes on: positions in `outcomes` of the best 1/eta of those scored (at least one), ascending. Feasible
// before infeasible, then by rank, inside a rank widest apart first, then in the order given.
std::vector<std::size_t> promoted(std::span<const Outcome> outcomes, i64 eta);

}  // namespace offramp::nas
