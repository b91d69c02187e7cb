#include "nas/search/surrogate_search.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/error.h"
#include "nas/search/dominance.h"
#include "nas/search/front.h"
#include "nas/search/nsga2.h"
#include "nas/surrogate/kendall.h"

namespace offramp::nas {
namespace {

// What a stream of random numbers of a generation serves, where it serves no individual.
enum Stream : u64 { kSurrogate = ~u64{0} - 2, kInner, kSubset };

constexpr std::size_t kLeastSamples = 4;  // to fit a surrogate to

}  // namespace

const std::vector<double>& learned_of(const Scored& scored) {
  return scored.learned.empty() ? scored.objectives : scored.learned;
}

SurrogateSearch::SurrogateSearch(Exec& exec, GeneSpace space, Prediction prediction,
                                 SurrogateSearchOptions options)
    : Sampler(std::move(space)),
      exec_(exec),
      prediction_(std::move(prediction)),
      options_(std::move(options)) {
  if (options_.initial < 1 || options_.batch < 1 || options_.inner_population < 2 ||
      options_.inner_generations < 1 || !(options_.optimism >= 0) || options_.rungs < 1)
    throw usage_error(
        "surrogate search: wanted initial, batch, inner_generations and rungs >= 1, inner_population >= 2 "
        "and "
        "optimism >= 0");
  for (const Genotype& seed : options_.seeds) require_genotype(this->space(), seed);
  const Surrogate known_kind(seen_choices(), options_.surrogate);  // throws for an unknown one
}

i64 SurrogateSearch::generation_size(i64 generation) const {
  return generation == 0 ? options_.initial : options_.batch;
}

std::optional<Proposal> SurrogateSearch::propose(i64 generation, i64 index) {
  if (generation == 0 && index < i64(options_.seeds.size()))
    if (auto genes = offer(options_.seeds[std::size_t(index)]))
      return Proposal{.genotype = std::move(*genes), .origin = "seed"};
  if (generation > 0) {
    if (planned_ != generation) {
      plan_ = plan(generation);
      planned_ = generation;
    }
    if (index < i64(plan_.size())) return plan_[std::size_t(index)];
  }
  Rng rng = rng_for(options_.seed, u64(generation), u64(index));
  return random_proposal(rng);
}

Scored SurrogateSearch::scored(const Genotype& genes, std::vector<double> learned) const {
  if (prediction_.scored) return prediction_.scored(genes, learned);
  return Scored{std::move(learned)};
}

Genotype SurrogateSearch::seen(Genotype genes, i64 rungs_left) const {
  if (options_.rungs > 1) genes.push_back(i32(std::max<i64>(options_.rungs - 1 - rungs_left, 0)));
  return genes;
}

std::vector<i32> SurrogateSearch::seen_choices() const {
  std::vector<i32> choices = space().choices;
  if (options_.rungs > 1) choices.push_back(i32(options_.rungs));
  return choices;
}

std::vector<Proposal> SurrogateSearch::plan(i64 generation) {
  fits_.clear();
  std::vector<Genotype> inputs, known;  // all that is learned from; whose scores stand
  std::vector<std::vector<double>> values;
  std::vector<Outcome> outcomes;  // of `known`
  const bool any_whole = std::any_of(candidates().begin(), candidates().end(), [](const Candidate& c) {
    const Scored* scored = std::get_if<Scored>(&c.outcome);
    return scored && scored->rungs_left == 0;
  });
  for (const Candidate& c : candidates()) {
    const Scored* scored = std::get_if<Scored>(&c.outcome);
    if (!scored) continue;
    const std::vector<double>& learned = learned_of(*scored);
    values.resize(std::max(values.size(), learned.size()));
    for (std::size_t t = 0; t < learned.size(); ++t) values[t].push_back(learned[t]);
    inputs.push_back(seen(c.proposal.genotype, scored->rungs_left));
    if (any_whole && scored->rungs_left > 0) continue;
    known.push_back(c.proposal.genotype);
    outcomes.push_back(c.outcome);
  }
  if (inputs.size() < kLeastSamples) return {};
  SurrogateOptions surrogate_options = options_.surrogate;
  surrogate_options.seed = rng_for(options_.seed, u64(generation), kSurrogate).next_u64();
  Surrogate surrogate(seen_choices(), surrogate_options);
  surrogate.fit(exec_, inputs, values);
  fits_ = surrogate.reports();

  // The first rank of what was evaluated: the front, or what misses the constraints least.
  std::vector<std::vector<double>> front;
  std::vector<Genotype> seeds;
  {
    const std::vector<std::size_t> rank = non_dominated_sort(outcomes)[0];
    for (std::size_t i : rank) front.push_back(std::get<Scored>(outcomes[i]).objectives);
    std::vector<std::size_t> order(rank.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    const std::vector<double> distance = crowding_distance(front);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return distance[a] > distance[b]; });
    for (std::size_t i : order) seeds.push_back(known[rank[i]]);
  }

  Nsga2 inner(space(), {.seed = rng_for(options_.seed, u64(generation), kInner).next_u64(),
                        .population = options_.inner_population,
                        .seeds = std::move(seeds),
                        .crossover_percent = options_.crossover_percent,
                        .mutations = options_.mutations,
                        .eta = options_.eta});
  struct Promise {
    std::vector<double> learned;
    Scored scored;  // in the objectives of this search
  };
  std::vector<Promise> promises;  // by id of the inner search
  for (i64 g = 0; g < options_.inner_generations; ++g) {
    const std::vector<Proposal> asked = inner.ask(options_.inner_population);
    if (asked.empty()) break;
    std::vector<Genotype> genotypes;
    for (const Proposal& p : asked) genotypes.push_back(seen(p.genotype, 0));
    const auto estimates = surrogate.predict(exec_, genotypes, options_.optimism > 0);
    std::vector<Evaluation> told;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      std::vector<double> learned, hoped;
      for (const auto& target : estimates) {
        learned.push_back(target[i].mean);
        const double bonus = options_.optimism * target[i].spread;
        hoped.push_back(target[i].mean - (std::isfinite(bonus) ? bonus : 0));
      }
      promises.push_back({std::move(learned), scored(asked[i].genotype, std::move(hoped))});
      Scored minimised = promises.back().scored;
      if (prediction_.inner) minimised.objectives = prediction_.inner(minimised.objectives);
      told.push_back({asked[i].id, std::move(minimised)});
    }
    inner.tell(told);
  }

  // The inner population without what is known; when too little is left, the best of the rest.
  std::vector<std::size_t> pool;
  std::vector<bool> seen(inner.candidates().size(), false);
  const auto consider = [&](std::size_t i) {
    if (seen[i]) return;
    seen[i] = true;
    if (offer(inner.candidates()[i].proposal.genotype)) pool.push_back(i);
  };
  for (std::size_t i : inner.population()) consider(i);
  if (i64(pool.size()) < options_.batch) {
    std::vector<Outcome> all;
    for (const Candidate& c : inner.candidates()) all.push_back(c.outcome);
    for (const std::vector<std::size_t>& rank : non_dominated_sort(all))
      for (std::size_t i : rank)
        if (i64(pool.size()) < options_.batch) consider(i);
  }

  std::vector<std::vector<double>> objectives;
  for (std::size_t i : pool) objectives.push_back(promises[i].scored.objectives);
  const std::vector<std::size_t> chosen =
      options_.subset == SurrogateSearchOptions::Subset::gaps
          ? select_by_gaps(front, objectives, options_.batch,
                           rng_for(options_.seed, u64(generation), kSubset), options_.gaps)
          : select_by_hypervolume(front, objectives, options_.batch);
  std::vector<Proposal> proposals;
  for (std::size_t k : chosen) {
    const std::size_t i = pool[k];
    proposals.push_back({.genotype = inner.candidates()[i].proposal.genotype,
                         .origin = "surrogate",
                         .predicted = promises[i].learned});
  }
  return proposals;
}

void SurrogateSearch::told(std::size_t first) {
  Report report{.generation = generation() - 1};
  std::size_t targets = 0;
  for (std::size_t i = first; i < candidates().size(); ++i)
    targets = std::max(targets, candidates()[i].proposal.predicted.size());
  for (std::size_t t = 0; t < targets; ++t) {
    const auto tau_since = [&](std::size_t from) {
      std::vector<double> predicted, truth;
      for (std::size_t i = from; i < candidates().size(); ++i) {
        const Candidate& c = candidates()[i];
        const Scored* scored = std::get_if<Scored>(&c.outcome);
        if (!scored || scored->rungs_left > 0 || t >= c.proposal.predicted.size() ||
            t >= learned_of(*scored).size())
          continue;
        predicted.push_back(c.proposal.predicted[t]);
        truth.push_back(learned_of(*scored)[t]);
      }
      return rank_agreement(predicted, truth).tau();
    };
    Target target{.tau = tau_since(first), .tau_so_far = tau_since(0)};
    if (planned_ == report.generation && t < fits_.size()) {
      target.kind = fits_[t].kind;
      target.validation = fits_[t].validation;
    }
    report.targets.push_back(std::move(target));
  }
  reports_.push_back(std::move(report));
}

}  // namespace offramp::nas
