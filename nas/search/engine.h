// A whole search: train the supernet, propose and evaluate candidates, train the chosen ones to the end,
// evaluate them on the test split once, write the run directory. The run is a deterministic function of its
// configuration; what was done already is found in the directory, so going on after an interruption gives the
// same result.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "nas/progress.h"
#include "nas/search/config.h"
#include "nas/search/finals.h"
#include "nas/search/genes.h"
#include "nas/study/records.h"
#include "nas/thresholds/exit_table.h"

namespace offramp {
class Exec;
}

namespace offramp::nas {

struct SearchRequest {
  SearchConfig config;
  std::string out;                     // run directory
  std::vector<std::string> data_dirs;  // where data are looked for
  std::string build;                   // version of the program, kept in model files
  std::string latency_table;           // file that a new run starts with; empty: measured on demand
};

struct SearchResult {
  std::vector<FinalNetwork> front;  // non-dominated in the objectives, ascending in the first cost
  i64 chosen = -1;                  // id
  std::string chosen_model;         // path
  std::string sample;               // path: a few test images to try it on, uint8 [n,h,w,c]
  i64 evaluated = 0, failed = 0;
  double hypervolume = 0;  // of the last generation
  TrainingCost training;
};

// A new run directory with run.toml, space.toml and an empty archive. Throws Error(usage) when it exists and
// holds anything, unless `force` (then what a run writes there is removed first).
void create_run(const SearchRequest& request, bool force);

// Another number of candidates in all for an existing run, finished or not: its final networks and its front
// are made anew when it goes on. Throws Error(usage) when it has begun with more of them already.
void set_evals(const std::string& out, i64 evals);

// Configuration of an existing run, for `resume`. Throws Error(input) when it is no run directory.
SearchConfig load_run(const std::string& out);

// True when nothing is left to do. Throws Error(infeasible), as the run itself did, when it ended so.
bool run_finished(const std::string& out);

// Gives a run with a latency table the calls that it lacks, from a table of the same machine. Throws
// Error(input) when it is of another one or of other kernels.
void add_latency(const std::string& out, const std::string& path);

// Does what is left to do. Throws Error(interrupted) when stopped; Error(infeasible), after everything is
// written, when no network meets the target.
SearchResult continue_run(Exec& exec, const SearchRequest& request, const Watch& watch);

}  // namespace offramp::nas
