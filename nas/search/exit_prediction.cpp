#include "nas/search/exit_prediction.h"

#include <algorithm>
#include <string>

#include "kernels/error.h"
#include "nn/record.h"

namespace offramp::nas {

std::vector<double> leave_macs(const Space& space, const Genotype& genotype, const Task& task) {
  nn::MetaParameters weightless;
  nn::EarlyExitNetwork network(space.decode(genotype, task), weightless);
  const std::vector<nn::ExitCost> costs = nn::exit_costs(nn::deployable(network));
  std::vector<double> out(std::size_t(space.exits()) + 1, -1.0);
  out.back() = double(costs.back().leave_macs);
  for (i64 exit = 0; exit < space.exits(); ++exit)
    for (const nn::ExitCost& cost : costs)
      if (space.exit_on(genotype, exit) && cost.name == space.exit_name(exit))
        out[std::size_t(exit)] = double(cost.leave_macs);
  return out;
}

std::vector<double> early_exit_lesson(const Space& space, const Genotype& genotype, double error,
                                      std::span<const double> exit_shares) {
  std::vector<double> lesson{error};
  std::size_t on = 0;
  for (i64 exit = 0; exit < space.exits(); ++exit) {
    const bool has = space.exit_on(genotype, exit);
    lesson.push_back(has && on < exit_shares.size() ? exit_shares[on] : 0.0);
    on += has;
  }
  if (on + 1 != exit_shares.size())
    throw usage_error("early exits: " + std::to_string(on + 1) + " shares wanted, got " +
                      std::to_string(exit_shares.size()));
  return lesson;
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

std::function<Scored(const Genotype&, std::span<const double>)> early_exit_objectives(LeaveCosts costs) {
  return [costs = std::move(costs)](const Genotype& genotype, std::span<const double> lesson) {
    const std::vector<double> leave = costs(genotype);
    const std::vector<double> shares = plausible_shares(lesson.subspan(1), leave);
    double average = 0;
    for (std::size_t i = 0; i < leave.size(); ++i)
      if (shares[i] > 0) average += shares[i] * leave[i];
    return Scored{{lesson[0], average}};
  };
}

}  // namespace offramp::nas
