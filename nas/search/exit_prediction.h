// For spaces with early exits: surrogates learn the error and the share of samples that leaves at each exit;
// the cost of every path is known exactly, so the average cost needs no surrogate.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "nas/search/candidate.h"
#include "nas/space/space.h"

namespace offramp::nas {

// The cost of leaving at each exit position of a space, the end of the network last; negative where the exit
// is off.
using LeaveCosts = std::function<std::vector<double>(const Genotype&)>;

// Exact MACs of the deployed network, recorded without weights.
std::vector<double> leave_macs(const Space& space, const Genotype& genotype, const Task& task);

// What a candidate teaches: error, then the share per exit position without the end (which gets the rest), 0
// where the exit is off. `exit_shares`: of the exits that are on, in order, the end last. Throws Error(usage)
// when their number does not fit.
std::vector<double> early_exit_lesson(const Space& space, const Genotype& genotype, double error,
                                      std::span<const double> exit_shares);

// Shares of all exit positions and the end, from predicted ones: none below 0 or where the exit is off,
// sum 1.
std::vector<double> plausible_shares(std::span<const double> predicted, std::span<const double> leave_costs);

// Objectives {error, average cost} of a genotype from the predicted lesson. See Prediction::scored.
std::function<Scored(const Genotype&, std::span<const double>)> early_exit_objectives(LeaveCosts costs);

}  // namespace offramp::nas
