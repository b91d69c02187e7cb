// NSGA-II over integer genes: non-dominated sorting, crowding distance. Source: Deb et al. 2002. Constraints
// by feasibility rules; failed candidates never survive a generation.
#pragma once
#include "nas/search/genetic.h"

namespace offramp::nas {

using Nsga2Options = GeneticOptions;

// Order of preference: best rank first, inside a rank widest apart first.
class Nsga2 : public GeneticSampler {
 public:
  Nsga2(GeneSpace space, Nsga2Options options) : GeneticSampler(std::move(space), std::move(options)) {}

 private:
  std::vector<std::size_t> survivors(std::span<const Outcome> pool, i64 count, Rng& rng) override;
};

}  // namespace offramp::nas
