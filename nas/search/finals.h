// Networks of the front, trained to the end and counted on the test split once.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nas/search/candidate_evaluator.h"
#include "nas/search/run_dir.h"
#include "nas/study/store.h"

namespace offramp::nas {

// One network trained to the end.
struct FinalNetwork {
  i64 id = 0;
  Genotype genotype;
  Thresholds thresholds;
  double accuracy_tune = 0, accuracy_test = 0;
  double avg_macs = 0;  // on the tune split, with its thresholds
  i64 full_macs = 0, params = 0;
  std::optional<double> latency_us;  // expected, from the run's latency table
  std::string model;                 // path
};

class FinalTraining {
 public:
  // All must outlive it. `supernet` may be null where no network starts from its weights, `latency` without a
  // latency table; `build` is kept in model files.
  struct Parts {
    const Space& space;
    const Supernet* supernet;
    const data::Splits& splits;
    const data::Normalisation& normalisation;
    const SearchConfig& config;
    const LatencyTable* latency;
    const std::string& build;
  };
  FinalTraining(Exec& exec, const Parts& parts, Store& store, const RunPaths& paths)
      : exec_(exec), parts_(parts), store_(store), paths_(paths) {}

  // Candidates of the archive by id; those that an earlier part of the run has finished are read back. Throws
  // Error(interrupted) when stopped.
  std::vector<FinalNetwork> train(const std::vector<i64>& ids, const Watch& watch);

 private:
  i64 epochs(const std::vector<i64>& ids, const Watch& watch) const;
  FinalNetwork finished(i64 id, const CandidateEvaluator& trainer, const std::string& phase,
                        const Watch& watch);
  std::unique_ptr<data::BatchSource> test_images(const nn::Plan& plan) const;
  ExitTable test_table(const ScoredNetwork& scored, const Watch& watch);
  double test_accuracy(const ScoredNetwork& scored, const Watch& watch);

  Exec& exec_;
  const Parts parts_;
  Store& store_;
  const RunPaths& paths_;
};

}  // namespace offramp::nas
