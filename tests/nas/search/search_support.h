// Runs samplers on functions of the genes.
#pragma once
#include <algorithm>
#include <functional>

#include "nas/search/front.h"
#include "nas/search/sampler.h"

namespace offramp::nas {

using Evaluate = std::function<Outcome(const Genotype&)>;

inline void search(Sampler& sampler, const Evaluate& evaluate, i64 evaluations, bool backwards = false) {
  while (i64(sampler.candidates().size()) < evaluations) {
    const std::vector<Proposal> proposals = sampler.ask(evaluations - i64(sampler.candidates().size()));
    if (proposals.empty()) return;
    std::vector<Evaluation> told;
    for (const Proposal& p : proposals) told.push_back({p.id, evaluate(p.genotype)});
    if (backwards) std::reverse(told.begin(), told.end());
    sampler.tell(told);
  }
}

inline Front front_of(const Sampler& sampler) {
  Front front;
  for (const Candidate& c : sampler.candidates()) front.insert(c.proposal.id, c.outcome);
  return front;
}

inline std::vector<Proposal> proposals_of(const Sampler& sampler) {
  std::vector<Proposal> all;
  for (const Candidate& c : sampler.candidates()) all.push_back(c.proposal);
  return all;
}

}  // namespace offramp::nas
