#include "nas/latency/predict.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "kernels/error.h"
#include "nas/latency/key.h"

namespace offramp::nas {

std::vector<LatencyTable::Key> latency_keys(const LatencyMachine& machine, const nn::Plan& plan) {
  const Residence residence = residence_of(machine, plan.params() * i64(sizeof(float)));
  std::vector<LatencyTable::Key> keys;
  for (const nn::PlanCall& call : nn::calls_of(plan, machine.target))
    keys.emplace_back(latency_key(call), residence);
  return keys;
}

std::vector<LatencyTable::Key> missing_keys(const LatencyTable& table, const nn::Plan& plan) {
  std::set<LatencyTable::Key> missing;
  for (LatencyTable::Key& key : latency_keys(table.machine(), plan))
    if (!table.find(key.first, key.second)) missing.insert(std::move(key));
  return {missing.begin(), missing.end()};
}

std::vector<StageLatency> predict(const LatencyTable& table, const nn::Plan& plan) {
  const std::vector<nn::PlanCall> calls = nn::calls_of(plan, table.machine().target);
  const std::vector<LatencyTable::Key> keys = latency_keys(table.machine(), plan);
  const double beside = table.per_call_us();
  std::vector<StageLatency> stages(plan.stages.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const LatencyEntry* entry = table.find(keys[i].first, keys[i].second);
    if (!entry)
      throw input_error("the latency table has no '" + keys[i].first + "' with weights in the " +
                        std::string(residence_name(keys[i].second)) + " cache");
    StageLatency& stage = stages[std::size_t(calls[i].stage)];
    (calls[i].head ? stage.head_us : stage.body_us) += std::max(entry->median_us() + beside, 0.0);
  }
  return stages;
}

double full_us(std::span<const StageLatency> stages) {
  double us = 0;
  for (const StageLatency& s : stages) us += s.body_us + s.head_us;
  return us;
}

ExitCosts latency_costs(const nn::Plan& plan, std::span<const StageLatency> stages) {
  const auto whole = [](double us) { return i64(std::llround(us * kPicosecondsPerUs)); };
  ExitCosts costs;
  i64 body = 0;
  for (std::size_t s = 0; s < plan.stages.size(); ++s) {
    body += whole(stages[s].body_us);
    if (!plan.stages[s].has_exit()) continue;
    costs.body.push_back(body);
    costs.head.push_back(whole(stages[s].head_us));
    body = 0;
  }
  return costs;
}

std::vector<double> leave_us(const nn::Plan& plan, std::span<const StageLatency> stages,
                             const Thresholds& thresholds) {
  std::vector<double> leave;
  double bodies = 0, heads = 0;
  std::size_t early = 0;
  for (std::size_t s = 0; s < plan.stages.size(); ++s) {
    bodies += stages[s].body_us;
    if (!plan.stages[s].has_exit()) continue;
    const bool last = s + 1 == plan.stages.size();
    if (!last && early >= thresholds.size())
      throw usage_error("wanted one threshold for each early exit, got " + std::to_string(thresholds.size()));
    const bool on = last || thresholds[early++].has_value();
    if (on) heads += stages[s].head_us;
    leave.push_back(on ? bodies + heads : 0);
  }
  return leave;
}

double expected_us(std::span<const double> leave, std::span<const double> shares) {
  if (leave.size() != shares.size())
    throw usage_error("wanted one share for each of " + std::to_string(leave.size()) + " exits, got " +
                      std::to_string(shares.size()));
  double us = 0;
  for (std::size_t e = 0; e < leave.size(); ++e) us += leave[e] * shares[e];
  return us;
}

}  // namespace offramp::nas
