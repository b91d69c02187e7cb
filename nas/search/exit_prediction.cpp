#include "nas/search/exit_prediction.h"

#include <algorithm>
#include <string>

#include "kernels/error.h"
#include "nas/search/limits.h"
#include "nas/thresholds/tuner.h"
#include "nn/record.h"

namespace offramp::nas {

ExactCosts exact_costs(const Space& space, const Genotype& genotype, const Task& task) {
  nn::MetaParameters weightless;
  nn::EarlyExitNetwork network(space.decode(genotype, task), weightless);
  const nn::Plan plan = nn::deployable(network);
  const std::vector<nn::ExitCost> costs = nn::exit_costs(plan);
  const std::size_t positions = std::size_t(space.exits()) + 1;
  ExactCosts out{std::vector<double>(positions, -1.0), std::vector<double>(positions, 0.0), plan.params()};
  out.leave_macs.back() = double(costs.back().leave_macs);
  out.head_macs.back() = double(costs.back().head_macs);
  for (i64 exit = 0; exit < space.exits(); ++exit)
    for (const nn::ExitCost& cost : costs)
      if (space.exit_on(genotype, exit) && cost.name == space.exit_name(exit)) {
        out.leave_macs[std::size_t(exit)] = double(cost.leave_macs);
        out.head_macs[std::size_t(exit)] = double(cost.head_macs);
      }
  return out;
}

bool Teaching::learned(Objective objective) const {
  return objective == Objective::error || objective == Objective::latency ||
         (objective == Objective::macs && exits == 0);
}

bool Teaching::needs_costs() const {
  return !std::all_of(objectives.begin(), objectives.end(), [this](Objective o) { return learned(o); });
}

Teaching teaching_of(const Space& space, const SearchConfig& config) {
  const TuneKind tuner = parse_tune_kind(config.tune.kind);
  Teaching teaching{.objectives = objectives_of(config),
                    .turns_off = tuner != TuneKind::genes && tuner != TuneKind::shared};
  const bool average = std::find(teaching.objectives.begin(), teaching.objectives.end(), Objective::macs) !=
                       teaching.objectives.end();
  // Latency is learned itself: microseconds of a path would need a table that holds every network the inner
  // search thinks of.
  if (average && config.search.learn == "shares") teaching.exits = space.exits();
  return teaching;
}

std::vector<double> shares_by_position(const Space& space, const Genotype& genotype,
                                       std::span<const double> exit_shares) {
  std::vector<double> shares;
  std::size_t on = 0;
  for (i64 exit = 0; exit < space.exits(); ++exit) {
    const bool has = space.exit_on(genotype, exit);
    shares.push_back(has && on < exit_shares.size() ? exit_shares[on] : 0.0);
    on += has;
  }
  if (on + 1 != exit_shares.size())
    throw usage_error("early exits: " + std::to_string(on + 1) + " shares wanted, got " +
                      std::to_string(exit_shares.size()));
  return shares;
}

std::vector<std::string> lesson_names(const Teaching& teaching) {
  std::vector<std::string> names{objective_names()[std::size_t(Objective::error)]};
  for (i64 exit = 0; exit < teaching.exits; ++exit) names.push_back("share of exit " + std::to_string(exit));
  for (Objective o : teaching.objectives)
    if (o != Objective::error && teaching.learned(o)) names.push_back(objective_names()[std::size_t(o)]);
  return names;
}

std::vector<double> lesson_of(const Space& space, const Teaching& teaching, const CandidateRecord& record) {
  const Figures figures = figures_of(record);
  std::vector<double> lesson{figures.error};
  if (teaching.exits > 0)
    for (double share : shares_by_position(space, record.genotype, record.exit_shares))
      lesson.push_back(share);
  for (Objective o : teaching.objectives)
    if (o != Objective::error && teaching.learned(o)) lesson.push_back(value_of(o, figures));
  return lesson;
}

std::vector<double> units_of(const Teaching& teaching) {
  std::vector<double> units(std::size_t(1 + teaching.exits), 0.01);
  for (Objective o : teaching.objectives)
    if (o != Objective::error && teaching.learned(o)) units.push_back(o == Objective::latency ? 1e3 : 1e6);
  return units;
}

std::vector<double> plausible_shares(std::span<const double> predicted, std::span<const double> leave_costs) {
  if (predicted.size() + 1 != leave_costs.size())
    throw usage_error("early exits: " + std::to_string(leave_costs.size()) + " exits, but " +
                      std::to_string(predicted.size()) + " predicted shares beside the end's");
  std::vector<double> shares(leave_costs.size(), 0.0);
  double sum = 0;
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    if (leave_costs[i] >= 0) shares[i] = std::clamp(predicted[i], 0.0, 1.0);
    sum += shares[i];
  }
  if (sum > 1)
    for (double& share : shares) share /= sum;
  shares.back() = std::max(0.0, 1 - sum);
  return shares;
}

double average_macs(const ExactCosts& costs, std::span<const double> shares, bool turns_off) {
  const std::size_t end = shares.size() - 1;
  // Of the way to each exit that is on: the backbone alone.
  std::vector<double> prefix(shares.size(), 0.0), reached(shares.size(), 1.0);
  double heads = 0, left = 0;
  for (std::size_t i = 0; i <= end; ++i) {
    heads += costs.head_macs[i];
    prefix[i] = costs.leave_macs[i] - heads;
    reached[i] = 1 - left;
    left += shares[i];
  }
  double sum = shares[end] * prefix[end] + reached[end] * costs.head_macs[end];
  for (std::size_t i = end, next = end; i-- > 0;) {
    if (costs.leave_macs[i] < 0) continue;
    const double further = prefix[next] + costs.head_macs[next] - prefix[i];
    if (turns_off && reached[i] * costs.head_macs[i] > shares[i] * further) {
      sum += shares[i] * (prefix[next] + costs.head_macs[next]);
      continue;
    }
    sum += shares[i] * prefix[i] + reached[i] * costs.head_macs[i];
    next = i;
  }
  return sum;
}

Scored expected(const Teaching& teaching, const SearchConfig::Limits& limits, const ExactCosts& costs,
                std::span<const double> lesson) {
  Figures figures{.error = lesson[0], .full_macs = i64(costs.leave_macs.back()), .params = costs.params};
  std::size_t next = 1;
  if (teaching.exits > 0) {
    figures.avg_macs = average_macs(
        costs, plausible_shares(lesson.subspan(1, std::size_t(teaching.exits)), costs.leave_macs),
        teaching.turns_off);
    next += std::size_t(teaching.exits);
  }
  for (Objective o : teaching.objectives) {
    if (o == Objective::error || !teaching.learned(o)) continue;
    (o == Objective::macs ? figures.avg_macs : figures.latency_us) = lesson[next++];
  }
  return {values_of(teaching.objectives, figures), violation_of({.full_macs = figures.full_macs,
                                                                 .params = figures.params,
                                                                 .memory = costs.memory,
                                                                 .avg_macs = figures.avg_macs,
                                                                 .avg_us = figures.latency_us},
                                                                limits)};
}

}  // namespace offramp::nas
