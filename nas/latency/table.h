// A latency table: what each kernel call costs inside running networks on one machine. A small text file that
// can be carried to another machine, where it predicts for the one that it was measured on.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "nas/latency/machine.h"
#include "nas/space/space.h"

namespace offramp::nas {

// Microseconds of one key: each observation is the steady time inside one network in one session.
struct LatencyEntry {
  std::vector<double> observed;
  double median_us() const;
  double quantile_us(double q) const;
};

// One session of one network that keys were timed in.
struct TimedRun {
  std::string space;
  Task task;
  Genotype genotype;
  double whole_us = 0;  // end to end
  double steps_us = 0;  // sum over its calls, each timed on its own
  i64 calls = 0;
};

class LatencyTable {
 public:
  static constexpr i64 kMostObservations = 48;  // of one key; more would not move its median
  using Key = std::pair<std::string, Residence>;

  explicit LatencyTable(LatencyMachine machine) : machine_(std::move(machine)) {}

  // Throws Error(input) with file and line when it is missing or damaged.
  static LatencyTable load(const std::string& path);
  static LatencyTable parse(const std::string& text, const std::string& path);
  std::string text() const;                  // parse gives the same table back
  void save(const std::string& path) const;  // atomically

  const LatencyMachine& machine() const { return machine_; }
  const std::map<Key, LatencyEntry>& entries() const { return entries_; }
  const std::vector<TimedRun>& runs() const { return runs_; }

  const LatencyEntry* find(const std::string& key, Residence residence) const;
  // Values are kept to five digits, as the file has them: what is predicted does not depend on whether the
  // table was saved in between.
  void add(const std::string& key, Residence residence, double us);
  void add_run(TimedRun run);
  // The fixed network of a space, timed in every session: drift cancels in ratios to it. Observations are
  // kept as they would have been in the space's first session.
  void add_reference(const std::string& space, double us);
  double reference_us(const std::string& space) const;  // of the first session; 0: none

  // What a call costs beside its kernel: median over the networks timed of (end to end - sum) / calls.
  double per_call_us() const;

 private:
  LatencyMachine machine_;
  std::map<Key, LatencyEntry> entries_;
  std::map<std::string, LatencyEntry> references_;
  std::vector<TimedRun> runs_;
};

// Throws Error(input) saying why when the kernels of this program are not those that were measured.
void require_current(const LatencyTable& table, const std::string& path);
// True where a missing key may be measured now: the same CPU and kernels, and a target that runs here.
bool measurable_here(const LatencyTable& table);

}  // namespace offramp::nas
