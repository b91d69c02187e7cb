// Times kernels inside running networks and fills a latency table.
//
// A session makes a group of networks and visits them in turn, again and again, so that a disturbance of the
// machine falls on all of them. Of the passes of one network those in the middle half by total time are
// averaged, call by call: sums over calls then agree with whole networks. A second session, later and in
// other memory, gives the second observation.
#pragma once
#include <functional>
#include <span>

#include "kernels/exec.h"
#include "nas/latency/cover.h"
#include "nas/latency/timed_network.h"

namespace offramp::nas {

struct VisitOptions {
  i64 visits = 5;   // of each network in a session
  i64 warm_up = 7;  // passes until a network has the caches for its own: the first takes twice the time on
                    // one whose weights outgrow the private cache, the seventh 1 % more
  i64 passes = 4;   // of each visit behind them; as many whole as call by call
};

struct NetworkTimes {
  double whole_us = 0;          // median of the passes end to end
  std::vector<double> whole;    // median of each visit, in order
  std::vector<double> step_us;  // per call; empty without
};

struct SessionTimes {
  std::vector<NetworkTimes> networks;
  double reference_us = 0;
};

// One session. `steps`: call by call as well. Throws Error(interrupted) when asked to stop.
SessionTimes time_session(Exec& exec, std::span<const std::unique_ptr<TimedNetwork>> networks,
                          TimedNetwork& reference, const VisitOptions& options, bool steps,
                          const Watch& watch);

// The fixed network of a space that drift is measured with.
Genotype reference_genotype(const Space& space);

struct MeasureOptions {
  VisitOptions visit;
  i64 group = 64;  // networks that are in memory together, fewer where they are large
  i64 group_bytes = i64{3} << 29;
  std::function<void()> after_group;  // to save what there is
};

// Times the networks, group by group, and adds what was found. Throws Error when the table is not
// measurable_here; Error(interrupted) when stopped: what earlier groups gave is in the table.
void measure_networks(Exec& exec, LatencyTable& table, const Space& space, const Task& task,
                      std::span<const Genotype> genotypes, const MeasureOptions& options, const Watch& watch);

// The missing keys of one plan, with weights, timed in it.
void measure_plan(Exec& exec, LatencyTable& table, const Space& space, const Task& task,
                  const Genotype& genotype, std::shared_ptr<const nn::Plan> plan, const Watch& watch);

}  // namespace offramp::nas
