#include "nas/search/generation.h"

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "kernels/error.h"
#include "nas/search/halving.h"
#include "nas/search/samplers.h"

namespace offramp::nas {
namespace {

void note_failure(const CandidateRecord& record, const Watch& watch) {
  if (record.state == CandidateRecord::State::failed)
    watch.note("candidate " + std::to_string(record.id) + " failed: " + record.reason);
}

}  // namespace

// What the archive holds is not what this configuration proposes.
void GenerationEvaluator::foreign(const std::string& what) const {
  throw input_error(paths_.archive() + " belongs to another configuration than " + paths_.config() + ": " +
                    what + "; restore run.toml as it was, or start a new run");
}

const CandidateRecord& GenerationEvaluator::require_same(const CandidateRecord& known,
                                                         const Proposal& proposal) const {
  if (known.genotype != proposal.genotype)
    foreign("candidate " + std::to_string(proposal.id) + " is another network there");
  if (known.id != proposal.id)
    foreign("network " + to_text(proposal.genotype) + " is candidate " + std::to_string(known.id) +
            " there and " + std::to_string(proposal.id) + " here");
  return known;
}

void GenerationEvaluator::settle(const Proposal& proposal, const CandidateRecord& record) {
  const auto known = store_.find(proposal.genotype);
  if (!known) return store_.add(record);
  require_same(*known, proposal);
  // A run that ended inside this generation let others through; extended, it compares all of them.
  if (known->rungs_left != record.rungs_left) store_.replace(record);
}

CandidateRecord GenerationEvaluator::whole(const Proposal& proposal, const Watch& watch) {
  if (const auto known = store_.find(proposal.genotype)) return require_same(*known, proposal);
  if (const auto other = store_.candidate(proposal.id)) require_same(*other, proposal);
  watch.check();
  const CandidateRecord record = evaluator_.evaluate(proposal, {}, watch);
  note_failure(record, watch);
  store_.add(record);
  return record;
}

CandidateRecord GenerationEvaluator::at_rung(const Proposal& proposal, const CandidateEvaluator::Rung& rung,
                                             const Watch& watch) {
  if (const auto known = store_.rung(proposal.id, rung.left)) return require_same(*known, proposal);
  watch.check();
  const CandidateRecord record = evaluator_.evaluate(proposal, rung, watch);
  note_failure(record, watch);
  store_.add_rung(record);
  return record;
}

std::vector<CandidateRecord> GenerationEvaluator::evaluate(std::span<const Proposal> proposals,
                                                           const Watch& watch, const Evaluated& evaluated) {
  const std::vector<i64> epochs = rung_epochs(config_);
  std::vector<CandidateRecord> records(proposals.size());
  if (epochs.size() == 1) {
    for (std::size_t i = 0; i < proposals.size(); ++i) {
      records[i] = whole(proposals[i], watch);
      evaluated(&records[i]);
    }
    return records;
  }
  make_folder(paths_.work());
  std::vector<std::size_t> going(proposals.size());
  std::iota(going.begin(), going.end(), std::size_t{0});
  for (std::size_t r = 0; r < epochs.size(); ++r) {
    std::vector<Outcome> outcomes;
    for (std::size_t i : going) {
      records[i] = at_rung(proposals[i],
                           {.epochs = epochs[r],
                            .left = i64(epochs.size() - 1 - r),
                            .checkpoint = paths_.checkpoint(proposals[i].id),
                            .seconds = records[i].seconds},
                           watch);
      outcomes.push_back(outcome_of(space_, config_, records[i]));
      evaluated(nullptr);
    }
    std::vector<std::size_t> next;
    if (r + 1 < epochs.size())
      for (std::size_t k : promoted(outcomes, config_.candidate.halving)) next.push_back(going[k]);
    for (std::size_t i : going)
      if (!std::binary_search(next.begin(), next.end(), i)) {
        settle(proposals[i], records[i]);
        evaluated(&records[i]);
      }
    going = std::move(next);
  }
  std::error_code ignored;
  std::filesystem::remove_all(paths_.work(), ignored);
  return records;
}

}  // namespace offramp::nas
