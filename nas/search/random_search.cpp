#include "nas/search/random_search.h"

#include <string>

#include "kernels/error.h"

namespace offramp::nas {

RandomSearch::RandomSearch(GeneSpace space, RandomSearchOptions options)
    : Sampler(std::move(space)), options_(std::move(options)) {
  if (options_.batch < 1)
    throw usage_error("random search: batch is " + std::to_string(options_.batch) + "; wanted 1 or more");
  for (const Genotype& seed : options_.seeds) require_genotype(this->space(), seed);
}

std::optional<Proposal> RandomSearch::propose(i64 generation, i64 index) {
  const std::size_t at = std::size_t(generation * options_.batch + index);
  if (at < options_.seeds.size())
    if (auto genes = offer(options_.seeds[at]))
      return Proposal{.genotype = std::move(*genes), .origin = "seed"};
  Rng rng = rng_for(options_.seed, u64(generation), u64(index));
  return random_proposal(rng);
}

}  // namespace offramp::nas
