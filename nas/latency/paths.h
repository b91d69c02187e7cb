// Latency of every path of a network, one image at a time: from a table, or measured here.
#pragma once
#include <memory>

#include "kernels/exec.h"
#include "nas/latency/table.h"
#include "nas/thresholds/exit_table.h"
#include "nn/plan/plan.h"

namespace offramp::nas {

struct PathLatency {
  std::vector<double>
      leave_us;        // of leaving at each exit, past the earlier ones in use; 0 for one that is off
  double full_us = 0;  // past every exit to the end, whatever is in use
};

// Throws Error(input) naming a key that the table lacks.
PathLatency predicted_paths(const LatencyTable& table, const nn::Plan& plan, const Thresholds& thresholds);

// Medians of running each path again and again on this CPU, with the context's target and threads.
PathLatency measured_paths(Exec& exec, std::shared_ptr<const nn::Plan> plan, const Thresholds& thresholds);

}  // namespace offramp::nas
