// What a sampler knows of a search space: how many choices each gene has, and what makes a genotype one of
// its own.
#pragma once
#include <functional>
#include <vector>

#include "kernels/rng.h"
#include "kernels/types.h"

namespace offramp::nas {

// Gene i is an index in [0, choices[i]).
using Genotype = std::vector<i32>;

struct GeneSpace {
  std::vector<i32> choices;
  std::function<Genotype(const Genotype&)>
      canonical;                               // one spelling per network; empty: every spelling is its own
  std::function<bool(const Genotype&)> valid;  // asked of canonical genotypes; empty: all are

  Genotype canonical_of(const Genotype& genes) const { return canonical ? canonical(genes) : genes; }
  bool is_valid(const Genotype& genes) const { return !valid || valid(genes); }
};

// Throws Error unless there is a gene and every gene has 1 to 65,535 choices.
void require_gene_space(const GeneSpace& space);
// Throws Error unless there is one value per gene, each in range.
void require_genotype(const GeneSpace& space, const Genotype& genes);

// The random numbers of one individual: who else is in the generation, and in which order or thread it is
// made or evaluated, cannot change them.
constexpr Rng rng_for(u64 seed, u64 generation, u64 individual) {
  return Rng(seed).derive(generation, individual);
}

}  // namespace offramp::nas
