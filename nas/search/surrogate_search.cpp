#include "nas/search/surrogate_search.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>

#include "kernels/error.h"
#include "nas/search/descent.h"
#include "nas/search/dominance.h"
#include "nas/search/front.h"
#include "nas/search/nsga2.h"
#include "nas/surrogate/kendall.h"

namespace offramp::nas {
namespace {

// What a stream of random numbers of a generation serves, where it serves no individual.
enum Stream : u64 { kVariation = ~u64{0} - 3, kSurrogate, kInner, kSubset };

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
  if (index < i64(plan_.size())) return plan_[std::size_t(index)];
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

SurrogateSearch::Lessons SurrogateSearch::lessons() const {
  Lessons all;
  const bool any_whole = std::any_of(candidates().begin(), candidates().end(), [](const Candidate& c) {
    const Scored* scored = std::get_if<Scored>(&c.outcome);
    return scored && scored->rungs_left == 0;
  });
  for (std::size_t i = 0; i < candidates().size(); ++i) {
    const Scored* scored = std::get_if<Scored>(&candidates()[i].outcome);
    if (!scored) continue;
    const std::vector<double>& learned = learned_of(*scored);
    all.values.resize(std::max(all.values.size(), learned.size()));
    for (std::size_t t = 0; t < learned.size(); ++t) all.values[t].push_back(learned[t]);
    all.inputs.push_back(seen(candidates()[i].proposal.genotype, scored->rungs_left));
    if (!any_whole || scored->rungs_left == 0) all.known.push_back(i);
  }
  return all;
}

void SurrogateSearch::prepare(i64 generation, const Watch& watch) {
  planned_ = generation;
  plan_.clear();
  fits_.clear();
  failure_.clear();
  if (generation == 0) return;  // the initial design
  const Lessons lessons = this->lessons();
  SurrogateOptions options = options_.surrogate;
  options.seed = rng_for(options_.seed, u64(generation), kSurrogate).next_u64();
  Surrogate surrogate(seen_choices(), options);
  try {
    if (lessons.inputs.size() < kLeastSamples)
      throw Error(std::to_string(lessons.inputs.size()) + " candidates to learn from, wanted " +
                  std::to_string(kLeastSamples));
    surrogate.fit(exec_, lessons.inputs, lessons.values, watch);
  } catch (const Error& e) {
    if (e.kind() == Error::Kind::interrupted) throw;
    failure_ = e.what();
    plan_ = vary(generation, watch);
    return;
  }
  fits_ = surrogate.reports();
  plan_ = plan(generation, surrogate, lessons.known, watch);
}

// NSGA-II whose first generation is everything evaluated so far; its children are this generation.
std::vector<Proposal> SurrogateSearch::vary(i64 generation, const Watch& watch) const {
  if (candidates().empty()) return {};
  Nsga2 evolution(space(), {.seed = rng_for(options_.seed, u64(generation), kVariation).next_u64(),
                            .population = std::max(options_.inner_population, options_.batch),
                            .initial = i64(candidates().size()),
                            .crossover_percent = options_.crossover_percent,
                            .mutations = options_.mutations,
                            .eta = options_.eta});
  std::vector<Proposal> first;
  std::vector<Evaluation> evaluated;
  for (const Candidate& c : candidates()) {
    first.push_back(c.proposal);
    first.back().generation = 0;
    evaluated.push_back({c.proposal.id, c.outcome});
  }
  evolution.replay(std::move(first));
  evolution.tell(evaluated);
  return evolution.ask(options_.batch, watch);
}

std::vector<std::size_t> SurrogateSearch::first_rank(const std::vector<std::size_t>& known) const {
  std::vector<Outcome> outcomes;
  for (std::size_t i : known) outcomes.push_back(candidates()[i].outcome);
  const std::vector<std::size_t> rank = non_dominated_sort(outcomes)[0];
  std::vector<std::vector<double>> objectives;
  for (std::size_t i : rank) objectives.push_back(std::get<Scored>(outcomes[i]).objectives);
  const std::vector<double> distance = crowding_distance(objectives);
  std::vector<std::size_t> order(rank.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return distance[a] > distance[b]; });
  for (std::size_t& i : order) i = known[rank[i]];
  return order;
}

std::vector<Proposal> SurrogateSearch::plan(i64 generation, const Surrogate& surrogate,
                                            const std::vector<std::size_t>& known, const Watch& watch) const {
  std::vector<std::vector<double>> front;
  std::vector<Genotype> seeds;
  std::map<Genotype, i64> seed_ids;
  const std::vector<std::size_t> rank = first_rank(known);
  for (std::size_t i : rank) {
    const Candidate& c = candidates()[i];
    front.push_back(std::get<Scored>(c.outcome).objectives);
    seeds.push_back(c.proposal.genotype);
    seed_ids.emplace(c.proposal.genotype, c.proposal.id);
  }
  Nsga2 inner(space(), {.seed = rng_for(options_.seed, u64(generation), kInner).next_u64(),
                        .population = options_.inner_population,
                        .seeds = std::move(seeds),
                        .crossover_percent = options_.crossover_percent,
                        .mutations = options_.mutations,
                        .eta = options_.eta});
  Descent descent(std::move(seed_ids));
  struct Promise {
    std::vector<double> learned;
    Scored scored;  // in the objectives of this search
  };
  std::vector<Promise> promises;  // by id of the inner search
  for (i64 g = 0; g < options_.inner_generations; ++g) {
    const std::vector<Proposal> asked = inner.ask(options_.inner_population, watch);
    if (asked.empty()) break;
    std::vector<Genotype> genotypes;
    for (const Proposal& p : asked) {
      descent.add(p);
      genotypes.push_back(seen(p.genotype, 0));
    }
    const auto estimates = surrogate.predict(exec_, genotypes, options_.optimism > 0);
    std::vector<Evaluation> told;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      watch.check();
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
  std::vector<bool> considered(inner.candidates().size(), false);
  const auto consider = [&](std::size_t i) {
    if (considered[i]) return;
    considered[i] = true;
    const Candidate& c = inner.candidates()[i];
    // A failed one was predicted something that is not finite.
    if (std::holds_alternative<Scored>(c.outcome) && offer(c.proposal.genotype)) pool.push_back(i);
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
  std::vector<std::string> kinds;
  for (const Surrogate::Report& report : surrogate.reports()) kinds.push_back(report.kind);
  std::vector<Proposal> proposals;
  for (std::size_t k : chosen) {
    const std::size_t i = pool[k];
    Proposal proposal{.genotype = inner.candidates()[i].proposal.genotype,
                      .parents = descent.ancestors(i64(i)),
                      .predicted = promises[i].learned,
                      .predicted_by = kinds};
    proposal.origin = proposal.parents.empty() ? kRandomBySurrogate : "surrogate";
    proposals.push_back(std::move(proposal));
  }
  return proposals;
}

void SurrogateSearch::told(std::size_t first) {
  Report report{.generation = generation() - 1};
  std::vector<std::string> kinds;
  for (std::size_t i = first; i < candidates().size() && kinds.empty(); ++i)
    kinds = candidates()[i].proposal.predicted_by;
  for (std::size_t t = 0; t < kinds.size(); ++t) {
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
    Target target{.kind = kinds[t], .tau = tau_since(first), .tau_so_far = tau_since(0)};
    if (planned_ == report.generation && t < fits_.size()) target.validation = fits_[t].validation;
    report.targets.push_back(std::move(target));
  }
  reports_.push_back(std::move(report));
}

}  // namespace offramp::nas
