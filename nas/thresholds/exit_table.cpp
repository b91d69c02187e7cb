#include "nas/thresholds/exit_table.h"

#include <cmath>
#include <string>

#include "kernels/error.h"

namespace offramp::nas {

std::vector<bool> exits_in_use(const Thresholds& thresholds) {
  std::vector<bool> in_use;
  for (const auto& t : thresholds) in_use.push_back(t.has_value());
  return in_use;
}

const ExitTable& ExitTables::at(const std::vector<bool>& in_use) {
  if (!all_.among) return all_;
  auto found = made_.find(in_use);
  if (found == made_.end()) found = made_.emplace(in_use, all_.among(in_use)).first;
  return found->second;
}

void require_exit_table(const ExitTable& table) {
  const auto text = [](auto value) { return std::to_string(value); };
  if (table.samples < 1 || table.exits < 1)
    throw usage_error("exit table: got " + text(table.samples) + " samples and " + text(table.exits) +
                      " exits; wanted at least one of each");
  const std::size_t cells = std::size_t(table.samples * table.exits);
  if (table.confidence.size() != cells || table.predicted.size() != cells ||
      table.label.size() != std::size_t(table.samples))
    throw usage_error("exit table: got " + text(table.confidence.size()) + " confidences, " +
                      text(table.predicted.size()) + " predictions and " + text(table.label.size()) +
                      " labels; wanted " + text(cells) + ", " + text(cells) + " and " + text(table.samples));
  for (i64 s = 0; s < table.samples; ++s)
    for (i64 e = 0; e + 1 < table.exits; ++e)
      if (!std::isfinite(table.confidence[s * table.exits + e]))
        throw Error("exit table: the confidence of sample " + text(s) + " at exit " + text(e) +
                    " is not finite");
}

void require_exit_costs(const ExitCosts& costs, i64 exits) {
  if (i64(costs.body.size()) != exits || i64(costs.head.size()) != exits)
    throw usage_error("exit costs: got " + std::to_string(costs.body.size()) + " bodies and " +
                      std::to_string(costs.head.size()) + " heads; wanted " + std::to_string(exits) +
                      " of each");
  for (i64 e = 0; e < exits; ++e)
    if (costs.body[e] < 0 || costs.head[e] < 0)
      throw usage_error("exit costs: negative cost at exit " + std::to_string(e));
}

}  // namespace offramp::nas
