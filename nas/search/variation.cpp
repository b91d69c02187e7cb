#include "nas/search/variation.h"

#include <utility>

namespace offramp::nas {
namespace {

constexpr int kFraction = 32;  // bits behind the point
constexpr u64 kOne = u64{1} << kFraction;

// (part / whole)^exponent in fixed point; 0 <= part < whole < 2^32, exponent >= 1.
constexpr u64 power_of_share(u64 part, u64 whole, i32 exponent) {
  const u64 share = (part << kFraction) / whole;  // below one, so no product overflows
  u64 result = share;
  for (i32 i = 1; i < exponent; ++i) result = (result * share) >> kFraction;
  return result;
}

// Mutates downwards. In units of half a choice, the value lies 2*value + 1 above the lower bound of a range
// of 2*choices. With v uniform in [0,1) and p = eta + 1 the continuous result is the value minus range * (1 -
// z^(1/p)), z = v + (1 - v) * (1 - distance to the bound / range)^p. It rounds to k or less exactly when z <
// (1 - (distance from value down to k + 1/2) / range)^p: no root is needed.
constexpr i32 mutate_down(i32 value, i32 choices, i32 eta, u64 v) {
  const u64 range = 2 * u64(choices), p = u64(eta) + 1;
  const u64 floor = power_of_share(range - (2 * u64(value) + 1), range, i32(p));
  const u64 z = v + (((kOne - v) >> 1) * floor >> (kFraction - 1));
  i32 result = value;
  while (result > 0 && z < power_of_share(range - (2 * u64(value - result) + 1), range, i32(p))) --result;
  return result;
}

}  // namespace

Genotype random_genotype(const GeneSpace& space, Rng& rng) {
  Genotype genes(space.choices.size());
  for (std::size_t i = 0; i < genes.size(); ++i) genes[i] = i32(rng.below(u32(space.choices[i])));
  return genes;
}

Genotype two_point_crossover(const Genotype& a, const Genotype& b, Rng& rng) {
  const u32 n = u32(a.size());
  if (n < 2) return a;
  // Two distinct places among the n + 1 borders, other than both ends together (that would be all of b).
  u32 from, to;
  do {
    from = rng.below(n + 1);
    to = rng.below(n);
    if (to >= from) ++to;
    if (to < from) std::swap(from, to);
  } while (from == 0 && to == n);
  Genotype child = a;
  for (u32 i = from; i < to; ++i) child[i] = b[i];
  return child;
}

i32 polynomial_mutation(i32 value, i32 choices, i32 eta, Rng& rng) {
  const u32 u = rng.next_u32();
  const u64 v = u64(u & 0x7FFFFFFFu) << 1;
  if (u >> 31) return choices - 1 - mutate_down(choices - 1 - value, choices, eta, v);
  return mutate_down(value, choices, eta, v);
}

Genotype mutate(const GeneSpace& space, Genotype genes, i32 eta, i32 expected, Rng& rng) {
  const u32 n = u32(genes.size());
  for (u32 i = 0; i < n; ++i)
    if (rng.below(n) < u32(expected)) genes[i] = polynomial_mutation(genes[i], space.choices[i], eta, rng);
  return genes;
}

}  // namespace offramp::nas
