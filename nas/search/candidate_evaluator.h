// From a genotype to a score: weights, normalisation, plan, thresholds, exact cost.
#pragma once
#include <memory>
#include <optional>

#include "data/dataset.h"
#include "nas/latency/table.h"
#include "nas/search/candidate.h"
#include "nas/study/records.h"
#include "nas/thresholds/policy.h"
#include "nas/thresholds/tuner.h"
#include "nas/train/network_trainer.h"
#include "nn/plan/model.h"

namespace offramp::nas {

// A network ready to ship, scored on the tune split.
struct ScoredNetwork {
  std::shared_ptr<const nn::Plan> plan;
  nn::ExitRule rule;
  ExitTable table;      // of the tune split
  ExitCosts costs;      // exact MACs
  CurvePoint point;     // the thresholds chosen, its cost in the unit they were tuned on
  PolicyResult result;  // of these thresholds, in MACs

  double accuracy() const { return result.accuracy(); }
  double average_macs() const { return result.average_cost(); }
  i64 full_macs() const;  // of a sample that runs to the end past every exit of the plan
};

// How the exits of a network are to decide and be tuned.
struct Tuning {
  nn::ExitRule rule;
  bool calibrate = false;  // temperatures fitted on the split, in place of the rule's
  TuneOptions options;
  // Thresholds are tuned on the latency that it predicts, in picoseconds; null: on MACs.
  const LatencyTable* latency = nullptr;
};
// Towards tuning_target, on the cost that tunes_on_latency says.
Tuning tuning_of(const SearchConfig& config, const LatencyTable* latency = nullptr);

// Of the order of images, augmentation and dropout of a candidate's own training, and of its final one's.
u64 training_seed(const SearchConfig& config, const Genotype& genotype);

class CandidateEvaluator {
 public:
  // Which of the configuration's sections says how a network is made.
  enum class Purpose { candidate, final };

  // All arguments must outlive the evaluator. `supernet` may be null where no network starts from its
  // weights. With a latency table, which then holds every key of what is evaluated, latency is an objective
  // or a limit.
  CandidateEvaluator(Exec& exec, const Space& space, const Supernet* supernet, const data::Splits& splits,
                     const data::Normalisation& normalisation, const SearchConfig& config,
                     const LatencyTable* latency = nullptr)
      : exec_(exec),
        space_(space),
        supernet_(supernet),
        splits_(splits),
        normalisation_(normalisation),
        config_(config),
        latency_(latency) {}

  // Inherited or fresh weights, trained as `purpose` has it, normalisation re-estimated, folded, thresholds
  // tuned. `phase` names the progress bar; `macs` as in train_network, `stop_after` as in Regime.
  ScoredNetwork score(const Genotype& genotype, Purpose purpose, const std::string& phase, const Watch& watch,
                      const std::string& checkpoint = "", i64* macs = nullptr, i64 stop_after = 0) const;

  // How far a candidate is to be trained: to the end, unless rungs are left.
  struct Rung {
    i64 epochs = 0;          // in all, of candidate.epochs
    i64 left = 0;            // rungs between this one and the last
    std::string checkpoint;  // training goes on from it; empty: from the start
    double seconds = 0;      // spent on the candidate at earlier rungs; counts against candidate.seconds
  };
  // The same as an archive record: never throws but for Error(interrupted); anything else is a failed
  // candidate.
  CandidateRecord evaluate(const Proposal& proposal, const Rung& rung, const Watch& watch) const;

 private:
  nn::EarlyExitNetwork* teacher() const;  // null: the network teaches itself
  nn::EarlyExitNetwork starting_network(const Genotype& genotype, bool from_scratch) const;
  Tuning tuning_of(const Genotype& genotype) const;

  Exec& exec_;
  const Space& space_;
  const Supernet* supernet_;
  const data::Splits& splits_;
  const data::Normalisation& normalisation_;
  const SearchConfig& config_;
  const LatencyTable* latency_;
  mutable std::optional<nn::EarlyExitNetwork> teacher_;  // made when it is first wanted
};

// Expected latency of one image at the chosen thresholds, with the exit shares of the tune split.
double expected_latency_us(const ScoredNetwork& scored, const LatencyTable& latency);

// Keeps the curve of accuracy over MACs (thinned) in a model.
void store_curve(nn::Model& model, const ScoredNetwork& scored);

// The model file of a network trained and tuned on these splits.
nn::Model model_of(const ScoredNetwork& scored, const SearchConfig& config, const std::string& space,
                   const Genotype& genotype, const data::Splits& splits,
                   const data::Normalisation& normalisation, const std::string& build);

// Any plan, scored on a split: the part that `tune` shares.
ScoredNetwork score_plan(Exec& exec, std::shared_ptr<const nn::Plan> plan, const data::Dataset& split,
                         const data::Normalisation& normalisation, const Tuning& tuning, const Watch& watch);

}  // namespace offramp::nas
