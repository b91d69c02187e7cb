#include "nas/search/sampler.h"

#include <cmath>
#include <string>

#include "kernels/error.h"
#include "nas/search/variation.h"

namespace offramp::nas {
namespace {
// A generation with this many duplicates in a row is taken as a sign that the space is used up.
constexpr int kRandomTries = 2000;

bool finite(const Scored& scored) {
  bool all = std::isfinite(scored.violation);
  for (double o : scored.objectives) all &= std::isfinite(o);
  return all;
}
}  // namespace

Sampler::Sampler(GeneSpace space) : space_(std::move(space)) { require_gene_space(space_); }

std::optional<Genotype> Sampler::offer(const Genotype& genes) const {
  Genotype canonical = space_.canonical_of(genes);
  if (!space_.is_valid(canonical) || known_.count(canonical)) return std::nullopt;
  return canonical;
}

std::optional<Proposal> Sampler::random_proposal(Rng& rng) const {
  for (int i = 0; i < kRandomTries; ++i)
    if (auto genes = offer(random_genotype(space_, rng)))
      return Proposal{.genotype = std::move(*genes), .origin = "random"};
  return std::nullopt;
}

std::vector<Proposal> Sampler::ask(i64 limit, const Watch& watch) {
  if (!pending_.empty()) throw Error("sampler: asked again before the last proposals were told");
  const i64 size = size_of_next(limit);
  prepare(generation_, watch);
  for (i64 index = 0; index < size; ++index) {
    std::optional<Proposal> proposal = propose(generation_, index);
    if (!proposal) break;
    proposal->id = i64(candidates_.size() + pending_.size());
    proposal->generation = generation_;
    known_.emplace(proposal->genotype, proposal->id);
    pending_.push_back(std::move(*proposal));
  }
  if (!pending_.empty()) ++generation_;
  return pending_;
}

void Sampler::replay(std::vector<Proposal> proposals) {
  if (!pending_.empty()) throw Error("sampler: replayed before the last proposals were told");
  if (proposals.empty() || i64(proposals.size()) > generation_size(generation_))
    throw input_error("sampler: generation " + std::to_string(generation_) + " replayed with " +
                      std::to_string(proposals.size()) + " proposals; wanted 1 to " +
                      std::to_string(generation_size(generation_)));
  std::map<Genotype, i64> known = known_;
  for (std::size_t i = 0; i < proposals.size(); ++i) {
    const Proposal& p = proposals[i];
    require_genotype(space_, p.genotype);
    const bool continues = p.id == i64(candidates_.size() + i) && p.generation == generation_ &&
                           space_.canonical_of(p.genotype) == p.genotype && space_.is_valid(p.genotype);
    if (!continues || !known.emplace(p.genotype, p.id).second)
      throw input_error("sampler: candidate " + std::to_string(p.id) + " does not continue this search");
  }
  known_ = std::move(known);
  pending_ = std::move(proposals);
  ++generation_;
}

void Sampler::tell(std::span<const Evaluation> evaluations) {
  const i64 first = i64(candidates_.size());
  if (evaluations.size() != pending_.size())
    throw Error("sampler: told " + std::to_string(evaluations.size()) +
                " evaluations; wanted one for each of " + std::to_string(pending_.size()) + " proposals");
  std::vector<const Outcome*> outcomes(pending_.size(), nullptr);
  for (const Evaluation& e : evaluations) {
    const i64 at = e.id - first;
    if (at < 0 || at >= i64(outcomes.size()) || outcomes[at])
      throw Error("sampler: told candidate " + std::to_string(e.id) + ", which is not waiting to be told");
    outcomes[at] = &e.outcome;
    if (const Scored* scored = std::get_if<Scored>(&e.outcome)) {
      if (objectives_ == 0) objectives_ = scored->objectives.size();
      if (scored->objectives.empty() || scored->objectives.size() != objectives_)
        throw Error("sampler: candidate " + std::to_string(e.id) + " has " +
                    std::to_string(scored->objectives.size()) + " objectives; wanted " +
                    std::to_string(objectives_));
    }
  }
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const Scored* scored = std::get_if<Scored>(outcomes[i]);
    candidates_.push_back({std::move(pending_[i]), scored && !finite(*scored)
                                                       ? Outcome(Failed{"an objective is not finite"})
                                                       : *outcomes[i]});
  }
  pending_.clear();
  told(std::size_t(first));
}

}  // namespace offramp::nas
