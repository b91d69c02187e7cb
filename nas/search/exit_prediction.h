// What surrogates learn of a candidate and how objectives come of it. Where a space has early exits they
// learn the share of samples that leaves at each: with the cost of every path, which is known exactly, that
// gives the average cost. Worst-case MACs and parameters are known as well and never predicted.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "nas/search/candidate.h"
#include "nas/search/objectives.h"
#include "nas/space/space.h"

namespace offramp::nas {

// Of the deployed network, recorded without weights.
struct ExactCosts {
  // MACs of leaving at each exit position of a space, the end of the network last (an image that runs past
  // every exit to the end); negative where the exit is off.
  std::vector<double> leave_macs;
  std::vector<double> head_macs;  // of the exit itself at each of these positions; 0 where it is off
  i64 params = 0;
  i64 memory = 0;  // NetworkSize's; 0: not asked for
};
// Without memory.
ExactCosts exact_costs(const Space& space, const Genotype& genotype, const Task& task);

// The lesson that a search's candidates teach: error, shares of the exits, then those objectives that neither
// gives.
struct Teaching {
  std::vector<Objective> objectives;
  i64 exits = 0;          // whose shares are learned; 0: none, average MACs are learned themselves
  bool turns_off = true;  // thresholds are tuned one by one: exits that do not pay are turned off

  bool learned(Objective objective) const;
  // Whether objectives need more than the lesson: exact costs.
  bool needs_costs() const;
};
Teaching teaching_of(const Space& space, const SearchConfig& config);

// What the values of a lesson are, in order.
std::vector<std::string> lesson_names(const Teaching& teaching);
// What the published searches count each value of a lesson in: percent, and millions of MACs (milliseconds).
std::vector<double> units_of(const Teaching& teaching);

// Throws Error(usage) when the number of exit shares does not fit the genotype.
std::vector<double> lesson_of(const Space& space, const Teaching& teaching, const CandidateRecord& record);

// Share per exit position without the end (which gets the rest), 0 where the exit is off. `exit_shares`: of
// the exits that are on, in order, the end last. Throws Error(usage) when their number does not fit.
std::vector<double> shares_by_position(const Space& space, const Genotype& genotype,
                                       std::span<const double> exit_shares);

// Shares of all exit positions and the end, from predicted ones: none below 0 or where the exit is off,
// sum 1.
std::vector<double> plausible_shares(std::span<const double> predicted, std::span<const double> leave_costs);

// Of an image when `shares` leave at the positions. With `turns_off` an exit whose head costs more than its
// leavers save counts as off: nobody pays for its head, and its leavers go on to the next.
double average_macs(const ExactCosts& costs, std::span<const double> shares, bool turns_off);

// Objectives from a predicted lesson, infeasible where exactly known costs break a limit.
Scored expected(const Teaching& teaching, const SearchConfig::Limits& limits, const ExactCosts& costs,
                std::span<const double> lesson);

}  // namespace offramp::nas
