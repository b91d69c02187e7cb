#include "nas/search/genetic.h"

#include <algorithm>
#include <string>

#include "kernels/error.h"
#include "nas/search/variation.h"

namespace offramp::nas {
namespace {
// Children that repeat a known network are made again this often before a random genotype takes their place.
constexpr int kTries = 100;
// Individual of a generation whose random numbers serve selection.
constexpr u64 kSelection = ~u64{0};

void require_range(const char* name, i64 value, i64 low, i64 high) {
  if (value < low || value > high)
    throw usage_error(std::string("evolution: ") + name + " is " + std::to_string(value) + "; wanted " +
                      std::to_string(low) + " to " + std::to_string(high));
}
}  // namespace

GeneticSampler::GeneticSampler(GeneSpace space, GeneticOptions options)
    : Sampler(std::move(space)), options_(std::move(options)) {
  require_range("population", options_.population, 2, 1 << 20);
  require_range("initial", options_.initial, 0, 1 << 20);
  require_range("crossover_percent", options_.crossover_percent, 0, 100);
  require_range("mutations", options_.mutations, 0, 1 << 20);
  require_range("eta", options_.eta, 0, 100);
  for (const Genotype& seed : options_.seeds) require_genotype(this->space(), seed);
}

i64 GeneticSampler::generation_size(i64 generation) const {
  return generation == 0 && options_.initial > 0 ? options_.initial : options_.population;
}

std::size_t GeneticSampler::tournament(Rng& rng) const {
  const u32 n = u32(population_.size());
  const u32 a = rng.below(n), b = rng.below(n);
  return population_[winner(a, b)];
}

std::optional<Proposal> GeneticSampler::propose(i64 generation, i64 index) {
  Rng rng = rng_for(options_.seed, u64(generation), u64(index));
  if (generation == 0 && index < i64(options_.seeds.size()))
    if (auto genes = offer(options_.seeds[std::size_t(index)]))
      return Proposal{.genotype = std::move(*genes), .origin = "seed"};
  if (population_.empty()) return random_proposal(rng);
  for (int i = 0; i < kTries; ++i) {
    const Proposal& a = candidates()[tournament(rng)].proposal;
    const Proposal& b = candidates()[tournament(rng)].proposal;
    const bool cross = a.id != b.id && i32(rng.below(100)) < options_.crossover_percent;
    Genotype child = cross ? two_point_crossover(a.genotype, b.genotype, rng) : a.genotype;
    child = mutate(space(), std::move(child), options_.eta, options_.mutations, rng);
    if (auto genes = offer(child))
      return Proposal{.genotype = std::move(*genes),
                      .origin = "variation",
                      .parents = cross ? std::vector<i64>{a.id, b.id} : std::vector<i64>{a.id}};
  }
  return random_proposal(rng);
}

void GeneticSampler::told(std::size_t first) {
  // Parents before children and each by id, so that equal candidates keep the order in which they were found.
  std::vector<std::size_t> pool = population_;
  std::sort(pool.begin(), pool.end());
  for (std::size_t i = first; i < candidates().size(); ++i)
    if (std::holds_alternative<Scored>(candidates()[i].outcome)) pool.push_back(i);
  std::vector<Outcome> outcomes;
  for (std::size_t i : pool) outcomes.push_back(candidates()[i].outcome);
  population_.clear();
  if (pool.empty()) return;
  Rng rng = rng_for(options_.seed, u64(generation()), kSelection);
  for (std::size_t i : survivors(outcomes, options_.population, rng)) population_.push_back(pool[i]);
}

}  // namespace offramp::nas
