// Hard limits of a search: constraints that no network on a front breaks.
#pragma once
#include <string>

#include "nas/latency/table.h"
#include "nas/search/config.h"
#include "nn/plan/plan.h"

namespace offramp::nas {

// What the limits look at. Worst case: an image that runs past every exit to the end, whatever the thresholds
// are; so these figures depend on the genotype alone and hold for a network however it is trained and tuned.
// Averages are of the thresholds chosen. 0: not known or not asked for, breaks no limit.
struct NetworkSize {
  i64 full_macs = 0, params = 0;
  i64 memory = 0;      // weights and arena of the runner at batch 1, bytes
  double full_us = 0;  // from the latency table
  double avg_macs = 0, avg_us = 0;
};

// Without averages.
NetworkSize size_of(const std::shared_ptr<const nn::Plan>& plan, Target target,
                    const SearchConfig::Limits& limits, const LatencyTable* latency);

// 0: within all limits; else the sum over them of by how much each is exceeded, as a share of the limit.
double violation_of(const NetworkSize& size, const SearchConfig::Limits& limits);

// "latency 431.2 us of at most 200, 1.2M MACs of at most 1M": the limits that are set.
std::string against_limits(const NetworkSize& size, const SearchConfig::Limits& limits);

}  // namespace offramp::nas
