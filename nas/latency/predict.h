// Latency of a plan from a table: the sum over its recorded calls, each with what a call costs beside its
// kernel.
#pragma once
#include <span>
#include <vector>

#include "nas/latency/table.h"
#include "nas/thresholds/exit_table.h"
#include "nn/plan/plan.h"

namespace offramp::nas {

struct StageLatency {
  double body_us = 0, head_us = 0;
};

// Keys of a plan, with where its weights are found; one per call, in the order of nn::calls_of.
std::vector<LatencyTable::Key> latency_keys(const LatencyMachine& machine, const nn::Plan& plan);

// Those of them that the table lacks, each once.
std::vector<LatencyTable::Key> missing_keys(const LatencyTable& table, const nn::Plan& plan);

// Per stage of the plan, one image. Throws Error(input) naming a key that is missing: never taken as 0.
std::vector<StageLatency> predict(const LatencyTable& table, const nn::Plan& plan);

// The path that runs past every exit to the end: the worst case of any thresholds.
double full_us(std::span<const StageLatency> stages);

// The same as costs for tuning thresholds: whole picoseconds, bodies of stages without an exit counted to the
// next exit. Rounding moves a path by less than a millionth of a microsecond per stage.
constexpr double kPicosecondsPerUs = 1e6;
ExitCosts latency_costs(const nn::Plan& plan, std::span<const StageLatency> stages);

// us of leaving at each exit of the plan when the exits with a threshold are in use: bodies up to it, its own
// head and the heads of all earlier ones in use. 0 for an exit that is off.
std::vector<double> leave_us(const nn::Plan& plan, std::span<const StageLatency> stages,
                             const Thresholds& thresholds);

// Sum over the exits of share x us of leaving there; shares of every exit, the final one included.
double expected_us(std::span<const double> leave, std::span<const double> shares);

}  // namespace offramp::nas
