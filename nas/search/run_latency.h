// The latency table of a run: kept in its directory, each key measured once.
#pragma once
#include <span>

#include "nas/latency/table.h"
#include "nas/progress.h"
#include "nas/search/candidate.h"

namespace offramp::nas {

class RunLatency {
 public:
  // `table_file` and `missing_file` lie in the run directory. Throws Error(input) when the table is damaged
  // or of other kernels.
  RunLatency(std::string table_file, std::string missing_file, const Space& space, std::string space_name,
             const Task& task);

  const LatencyTable& table() const { return table_; }

  // Everything that predicting these networks needs is in the table afterwards. What is missing is measured
  // in the networks and saved; where the table is of another CPU, it is written to missing_file and
  // Error(input) is thrown.
  void complete(std::span<const Proposal> proposals, const Watch& watch);

 private:
  std::string table_file_, missing_file_;
  const Space& space_;
  std::string space_name_;
  Task task_;
  LatencyTable table_;
};

// The table that a new run starts with: the one of `path`, or an empty one of this machine (one thread).
// Throws Error(input) when it is of other kernels.
LatencyTable starting_table(const std::string& path);

// Adds the keys of `more` that `table` lacks. Throws Error(input) when they are not of one machine.
void merge_missing(LatencyTable& table, const LatencyTable& more, const std::string& path);

}  // namespace offramp::nas
