#include "nas/search/halving.h"

#include <algorithm>
#include <string>

#include "kernels/error.h"
#include "nas/search/dominance.h"

namespace offramp::nas {

std::vector<i64> rung_epochs(const SearchConfig& config) {
  const auto& c = config.candidate;
  std::vector<i64> epochs{c.epochs};
  if (c.halving == 0) return epochs;
  const auto more = [&] { return c.rungs == 0 ? epochs.back() >= c.halving : i64(epochs.size()) < c.rungs; };
  if (c.halving > 1)
    while (more() && epochs.back() > 0) epochs.push_back(epochs.back() / c.halving);
  if (epochs.size() < 2 || epochs.back() == 0)
    throw usage_error("candidate.halving=" + std::to_string(c.halving) + " divides candidate.epochs=" +
                      std::to_string(c.epochs) + " by itself from rung to rung" +
                      (c.rungs > 0 ? ", " + std::to_string(c.rungs) + " rungs in all" : "") +
                      ": wanted 2 or more, at least two rungs and an epoch on the first");
  std::reverse(epochs.begin(), epochs.end());
  return epochs;
}

std::vector<std::size_t> promoted(std::span<const Outcome> outcomes, i64 eta) {
  std::vector<std::size_t> scored;
  std::vector<Outcome> pool;
  for (std::size_t i = 0; i < outcomes.size(); ++i)
    if (std::holds_alternative<Scored>(outcomes[i])) scored.push_back(i), pool.push_back(outcomes[i]);
  std::vector<std::size_t> going;
  if (scored.empty()) return going;
  for (std::size_t i : select_by_crowding(pool, std::max<i64>(1, i64(scored.size()) / eta)))
    going.push_back(scored[i]);
  std::sort(going.begin(), going.end());
  return going;
}

}  // namespace offramp::nas
