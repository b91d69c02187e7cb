// Rows of a study's archive as plain values.
#pragma once
#include <limits>
#include <string>
#include <vector>

#include "nas/search/genes.h"
#include "nas/thresholds/exit_table.h"

namespace offramp::nas {

struct CandidateRecord {
  enum class State { scored, failed };
  i64 id = 0;  // order of proposal
  i64 generation = 0;
  Genotype genotype;              // canonical
  std::string origin;             // as Proposal has it
  std::vector<i64> parents;       // ids
  std::vector<double> predicted;  // as Proposal has it, and the next
  std::vector<std::string> predicted_by;
  u64 seed = 0;         // of its own training
  std::string weights;  // where its weights came from: supernet, scratch, ...
  State state = State::scored;
  std::string reason;  // why it failed
  i64 train_macs = 0;  // forward MACs x images of its own training, also when it failed
  i64 epochs = 0;      // of that training
  i64 rungs_left = 0;  // successive halving: rungs that it was stopped short of; 0: trained as long as any

  // As scored; zero or empty when failed.
  std::vector<double> objectives;  // what the sampler was told
  double violation = 0;
  double accuracy_tune = 0;  // 0..1
  double avg_macs = 0;
  i64 full_macs = 0, params = 0;
  double latency_us =
      std::numeric_limits<double>::quiet_NaN();  // expected; NaN: the run has no latency table
  std::vector<double> exit_shares;               // per enabled exit, the final one included
  std::vector<double> exit_accuracies;           // of each exit over all samples, same order
  Thresholds thresholds;                         // per enabled early exit
  double seconds = 0;
};

struct GenerationRecord {
  i64 generation = 0;
  double hypervolume = 0;  // of the front in the objectives of the search
  std::vector<i64> front;  // ids, ascending
  i64 evaluations = 0;     // in all, up to and including this generation
  i64 failures = 0;
  double best_at_target = 0;  // accuracy of the best candidate under the target; NaN: none, or no target
  i64 best_id = -1;           // that candidate; -1: none
  i64 train_macs = 0;         // spent on training up to here: supernet and candidates
  double seconds = 0;         // spent on this generation
};

// What training has cost: forward MACs x images.
struct TrainingCost {
  i64 supernet = 0, candidates = 0, finals = 0;
  i64 total() const { return supernet + candidates + finals; }
};

struct EventRecord {
  double unix_seconds = 0;
  std::string kind;  // start, resume, supernet, surrogate, interrupt, error, finish
  std::string text;
};

}  // namespace offramp::nas
