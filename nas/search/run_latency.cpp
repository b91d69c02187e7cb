#include "nas/search/run_latency.h"

#include <filesystem>
#include <set>

#include "kernels/error.h"
#include "nas/latency/measure.h"
#include "nas/latency/missing.h"
#include "nas/latency/predict.h"
#include "tensor/file.h"

namespace offramp::nas {

RunLatency::RunLatency(std::string table_file, std::string missing_file, const Space& space,
                       std::string space_name, const Task& task)
    : table_file_(std::move(table_file)),
      missing_file_(std::move(missing_file)),
      space_(space),
      space_name_(std::move(space_name)),
      task_(task),
      table_(LatencyTable::load(table_file_)) {
  require_current(table_, table_file_);
}

void RunLatency::complete(std::span<const Proposal> proposals, const Watch& watch) {
  const bool here = measurable_here(table_);
  std::vector<MissingKey> missing;
  std::set<LatencyTable::Key> seen;
  for (const Proposal& p : proposals) {
    const auto keys = missing_keys(table_, *plan_of(space_, p.genotype, task_, false));
    if (keys.empty()) continue;
    if (!here) {
      for (const auto& key : keys)
        if (seen.insert(key).second) missing.push_back({key, space_name_, task_, p.genotype});
      continue;
    }
    watch.check();
    Exec exec(table_.machine().target, table_.machine().threads);
    measure_plan(exec, table_, space_, task_, p.genotype, plan_of(space_, p.genotype, task_, true), watch);
    table_.save(table_file_);
  }
  if (missing.empty()) return;
  write_file_atomically(missing_file_, missing_text(missing));
  throw input_error(std::to_string(missing.size()) + " kernel calls are not in the latency table of " +
                    table_.machine().cpu + ": on that machine, offramp measure --keys " + missing_file_ +
                    " (or --space " + space_name_ + "); then resume with --latency-table");
}

LatencyTable starting_table(const std::string& path) {
  if (path.empty()) return LatencyTable(this_machine(default_target(), 1));
  LatencyTable table = LatencyTable::load(path);
  require_current(table, path);
  return table;
}

void merge_missing(LatencyTable& table, const LatencyTable& more, const std::string& path) {
  if (table.machine() != more.machine())
    throw input_error(path + ": is of another machine or other settings than the run's own latency table (" +
                      table.machine().cpu + ", target " + std::string(target_name(table.machine().target)) +
                      ", threads " + std::to_string(table.machine().threads) + ")");
  for (const auto& [key, entry] : more.entries())
    if (!table.find(key.first, key.second))
      for (double us : entry.observed) table.add(key.first, key.second, us);
  if (table.runs().empty())
    for (const TimedRun& run : more.runs()) table.add_run(run);
}

}  // namespace offramp::nas
