// The candidates of one generation evaluated and kept in the archive, with successive halving or without.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "nas/search/candidate_evaluator.h"
#include "nas/search/run_dir.h"
#include "nas/study/store.h"

namespace offramp::nas {

class GenerationEvaluator {
 public:
  // All arguments must outlive it.
  GenerationEvaluator(Store& store, const RunPaths& paths, const Space& space,
                      const CandidateEvaluator& evaluator, const SearchConfig& config)
      : store_(store), paths_(paths), space_(space), evaluator_(evaluator), config_(config) {}

  // Called after each evaluation: with a record that is final, with null while its candidate waits for the
  // others of its rung.
  using Evaluated = std::function<void(const CandidateRecord*)>;

  // One record for each proposal, in order. What an interrupted run has evaluated comes from the archive, and
  // training that it had begun goes on from the last rung or epoch. Throws Error(input) when the archive
  // holds something else than what is proposed.
  std::vector<CandidateRecord> evaluate(std::span<const Proposal> proposals, const Watch& watch,
                                        const Evaluated& evaluated);

 private:
  [[noreturn]] void foreign(const std::string& what) const;
  const CandidateRecord& require_same(const CandidateRecord& known, const Proposal& proposal) const;
  CandidateRecord whole(const Proposal& proposal, const Watch& watch);
  CandidateRecord at_rung(const Proposal& proposal, const CandidateEvaluator::Rung& rung, const Watch& watch);
  void settle(const Proposal& proposal, const CandidateRecord& record);

  Store& store_;
  const RunPaths& paths_;
  const Space& space_;
  const CandidateEvaluator& evaluator_;
  const SearchConfig& config_;
};

}  // namespace offramp::nas
