// Regularised evolution: a queue of the youngest candidates; the best of a random few gets a child that
// differs from it in one gene; the oldest dies, however good it is. Source: Real et al. 2019. With several
// objectives the best is one whom none of the few dominates. Failed candidates never become parents.
#pragma once
#include <deque>

#include "nas/search/sampler.h"

namespace offramp::nas {

struct RegularisedEvolutionOptions {
  u64 seed = 0;
  i64 population = 50;          // alive at a time; also the size of the initial design
  i64 tournament = 10;          // the few
  i64 batch = 8;                // children per generation, of parents from the same queue
  std::vector<Genotype> seeds;  // first members of the initial design
};

class RegularisedEvolution : public Sampler {
 public:
  // Throws Error on options that make no sense and on seeds out of range; a seed that is invalid or equal to
  // an earlier one is replaced by a random genotype.
  RegularisedEvolution(GeneSpace space, RegularisedEvolutionOptions options);

  const std::deque<std::size_t>& population() const { return alive_; }  // into candidates(), oldest first

 private:
  std::optional<Proposal> propose(i64 generation, i64 index) override;
  i64 generation_size(i64 generation) const override;
  void told(std::size_t first) override;
  std::size_t parent(Rng& rng) const;

  RegularisedEvolutionOptions options_;
  std::deque<std::size_t> alive_;
};

}  // namespace offramp::nas
