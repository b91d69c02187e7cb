// Operators from genotype to genotype, in integers alone (no libm, no floating point): the same on every
// machine.
#pragma once
#include "nas/search/genes.h"

namespace offramp::nas {

// Uniform per gene; neither canonical nor necessarily valid.
Genotype random_genotype(const GeneSpace& space, Rng& rng);

// a outside two distinct cut points, b between them: at least one gene of each when there are two genes or
// more.
Genotype two_point_crossover(const Genotype& a, const Genotype& b, Rng& rng);

// Polynomial mutation of a gene at `value` of `choices` (<= 65,535), distribution index eta >= 0 (small: wide
// jumps). The bounded continuous form on [-1/2, choices - 1/2], rounded to the nearest integer, its
// distribution function evaluated in 32-bit fixed point. May return `value`. Source: Deb & Agrawal 1999
// (bounded form); rounding as usual for integer genes.
i32 polynomial_mutation(i32 value, i32 choices, i32 eta, Rng& rng);

// Applies polynomial_mutation to each gene with probability expected / number of genes.
Genotype mutate(const GeneSpace& space, Genotype genes, i32 eta, i32 expected, Rng& rng);

}  // namespace offramp::nas
