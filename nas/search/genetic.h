// What evolutionary samplers with a surviving population share: the initial design, tournament, two-point
// crossover, polynomial mutation. They differ in who survives.
#pragma once
#include "nas/search/sampler.h"

namespace offramp::nas {

struct GeneticOptions {
  u64 seed = 0;
  i64 population = 40;
  i64 initial = 0;              // size of the initial design; 0: population
  std::vector<Genotype> seeds;  // first members of the initial design (smallest and largest network, ...)
  i32 crossover_percent = 90;
  i32 mutations = 1;  // expected number of genes mutated in a child
  i32 eta = 1;        // distribution index of the mutation
};

class GeneticSampler : public Sampler {
 public:
  // The surviving parents: indices into candidates(), in order of preference.
  const std::vector<std::size_t>& population() const { return population_; }

 protected:
  // Throws Error on options that make no sense and on seeds out of range; a seed that is invalid or equal to
  // an earlier one is replaced by a random genotype.
  GeneticSampler(GeneSpace space, GeneticOptions options);

  // Indices into `pool` (all scored; parents before children, each in order of discovery) of those that go
  // on, at most `count`, best first. `rng` is this generation's own.
  virtual std::vector<std::size_t> survivors(std::span<const Outcome> pool, i64 count, Rng& rng) = 0;
  // The parent between positions a and b of population(), both drawn at random.
  virtual std::size_t winner(std::size_t a, std::size_t b) const { return std::min(a, b); }

  const GeneticOptions& options() const { return options_; }

 private:
  std::optional<Proposal> propose(i64 generation, i64 index) override;
  i64 generation_size(i64 generation) const override;
  void told(std::size_t first) override;
  std::size_t tournament(Rng& rng) const;

  GeneticOptions options_;
  std::vector<std::size_t> population_;
};

}  // namespace offramp::nas
