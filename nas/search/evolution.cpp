#include "nas/search/evolution.h"

#include <string>

#include "kernels/error.h"
#include "nas/search/dominance.h"

namespace offramp::nas {
namespace {
// Children that repeat a known network are made again this often before a random genotype takes their place.
constexpr int kTries = 100;

// Another value for one gene that has a choice.
Genotype with_other_gene(const GeneSpace& space, Genotype genes, Rng& rng) {
  u32 free = 0;
  for (i32 c : space.choices) free += c > 1;
  if (free == 0) return genes;
  u32 which = rng.below(free);
  for (std::size_t i = 0; i < genes.size(); ++i) {
    if (space.choices[i] < 2 || which-- > 0) continue;
    i32 other = i32(rng.below(u32(space.choices[i] - 1)));
    if (other >= genes[i]) ++other;
    genes[i] = other;
    break;
  }
  return genes;
}
}  // namespace

RegularisedEvolution::RegularisedEvolution(GeneSpace space, RegularisedEvolutionOptions options)
    : Sampler(std::move(space)), options_(std::move(options)) {
  if (options_.population < 1 || options_.tournament < 1 || options_.batch < 1)
    throw usage_error("regularised evolution: population, tournament and batch must be 1 or more, got " +
                      std::to_string(options_.population) + ", " + std::to_string(options_.tournament) +
                      " and " + std::to_string(options_.batch));
  for (const Genotype& seed : options_.seeds) require_genotype(this->space(), seed);
}

i64 RegularisedEvolution::generation_size(i64 generation) const {
  return generation == 0 ? options_.population : options_.batch;
}

std::size_t RegularisedEvolution::parent(Rng& rng) const {
  std::size_t best = alive_[rng.below(u32(alive_.size()))];
  for (i64 i = 1; i < options_.tournament; ++i) {
    const std::size_t other = alive_[rng.below(u32(alive_.size()))];
    if (constrained_dominates(candidates()[other].outcome, candidates()[best].outcome)) best = other;
  }
  return best;
}

std::optional<Proposal> RegularisedEvolution::propose(i64 generation, i64 index) {
  Rng rng = rng_for(options_.seed, u64(generation), u64(index));
  if (generation == 0 && index < i64(options_.seeds.size()))
    if (auto genes = offer(options_.seeds[std::size_t(index)]))
      return Proposal{.genotype = std::move(*genes), .origin = "seed"};
  for (int i = 0; i < kTries && !alive_.empty(); ++i) {
    const Proposal& from = candidates()[parent(rng)].proposal;
    if (auto genes = offer(with_other_gene(space(), from.genotype, rng)))
      return Proposal{.genotype = std::move(*genes), .origin = "variation", .parents = {from.id}};
  }
  return random_proposal(rng);
}

void RegularisedEvolution::told(std::size_t first) {
  for (std::size_t i = first; i < candidates().size(); ++i)
    if (std::holds_alternative<Scored>(candidates()[i].outcome)) alive_.push_back(i);
  while (i64(alive_.size()) > options_.population) alive_.pop_front();
}

}  // namespace offramp::nas
