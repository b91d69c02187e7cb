// NSGA-II over integer genes: non-dominated sorting, crowding distance, two-point crossover, polynomial
// mutation. Source: Deb et al. 2002. Constraints by feasibility rules; failed candidates never survive a
// generation.
#pragma once
#include "nas/search/sampler.h"

namespace offramp::nas {

struct Nsga2Options {
  u64 seed = 0;
  i64 population = 40;
  i64 initial = 0;              // size of the initial design; 0: population
  std::vector<Genotype> seeds;  // first members of the initial design (smallest and largest network, ...)
  i32 crossover_percent = 90;
  i32 mutations = 1;  // expected number of genes mutated in a child
  i32 eta = 1;        // distribution index of the mutation
};

class Nsga2 : public Sampler {
 public:
  // Throws Error on options that make no sense and on seeds out of range; a seed that is invalid or equal to
  // an earlier one is replaced by a random genotype.
  Nsga2(GeneSpace space, Nsga2Options options);

  // The surviving parents: indices into candidates(), best rank first, inside a rank widest apart first.
  const std::vector<std::size_t>& population() const { return population_; }

 private:
  std::optional<Proposal> propose(i64 generation, i64 index) override;
  i64 generation_size(i64 generation) const override;
  void told(std::size_t first) override;
  std::size_t tournament(Rng& rng) const;

  Nsga2Options options_;
  std::vector<std::size_t> population_;  // in order of preference: a tournament compares positions
};

}  // namespace offramp::nas
