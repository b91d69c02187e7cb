#include "nas/search/samplers.h"

#include <cmath>
#include <cstdio>
#include <map>

#include "kernels/error.h"
#include "nas/latency/timed_network.h"
#include "nas/search/evolution.h"
#include "nas/search/exit_prediction.h"
#include "nas/search/halving.h"
#include "nas/search/limits.h"
#include "nas/search/nsga2.h"
#include "nas/search/nsga3.h"
#include "nas/search/random_search.h"
#include "nas/search/surrogate_search.h"
#include "nas/seeds.h"

namespace offramp::nas {
namespace {

GeneSpace gene_space(const Space& space) {
  GeneSpace genes{
      .choices = {},
      .canonical = [&space](const Genotype& g) { return space.canonical(g); },
      .valid = [&space](const Genotype& g) { return space.exits() == 0 || space.any_exit_on(g); }};
  for (const Gene& gene : space.genes()) genes.choices.push_back(i32(gene.values.size()));
  return genes;
}

std::vector<Genotype> first_genotypes(const Space& space, const SearchConfig& config) {
  if (!config.search.extremes) return {};
  return {space.min_genotype(), space.max_genotype(), space.max_with_min_exits()};
}

// AEBNAS minimises (error in percent + 0.1 x deviation, deviation), deviation in percent of the target on
// either side of it.
std::vector<double> near_target(const std::vector<double>& objectives, double target) {
  const double deviation = 100 * std::fabs(objectives[1] - target) / target;
  return {100 * objectives[0] + 0.1 * deviation, deviation};
}

std::unique_ptr<Sampler> surrogate_sampler(Exec& exec, const Space& space, const Task& task,
                                           const SearchConfig& config, GeneSpace genes, u64 seed) {
  Prediction prediction;
  const Teaching teaching = teaching_of(space, config);
  // The inner search comes back to many of its networks; recording one takes about a millisecond.
  // Worst-case latency is not predicted: the table need not hold the keys of every network that is thought
  // of.
  const SearchConfig::Limits& limits = config.limits;
  if (teaching.needs_costs() || limits.macs > 0 || limits.params > 0 || limits.memory > 0)
    prediction.scored = [&space, task, teaching, limits, target = exec.target(),
                         known = std::make_shared<std::map<Genotype, ExactCosts>>()](
                            const Genotype& genotype, std::span<const double> lesson) {
      const auto [at, fresh] = known->try_emplace(genotype);
      if (fresh) {
        at->second = exact_costs(space, genotype, task);
        if (limits.memory > 0)
          at->second.memory = size_of(plan_of(space, genotype, task, true), target, limits, nullptr).memory;
      }
      return expected(teaching, limits, at->second, lesson);
    };
  if (config.search.inner == "deviation") {
    const double target =
        teaching.objectives[1] == Objective::latency ? config.target_latency_us : double(config.target_macs);
    const bool average =
        teaching.objectives[1] == Objective::latency || teaching.objectives[1] == Objective::macs;
    if (!average || teaching.objectives.size() != 2 || target <= 0)
      throw usage_error(
          "search.inner = \"deviation\" needs objective \"macs\" with target_macs (--target-macs), or "
          "\"latency\" with target_latency_us");
    prediction.inner = [target](const std::vector<double>& objectives) {
      return near_target(objectives, target);
    };
  }
  SurrogateOptions surrogate{.kind = config.search.surrogate};
  if (config.search.surrogate_scale == "raw") {
    surrogate.raw_inputs = true;
    surrogate.units = units_of(teaching);
  }
  return std::make_unique<SurrogateSearch>(
      exec, std::move(genes), std::move(prediction),
      SurrogateSearchOptions{.seed = seed,
                             .initial = config.search.initial,
                             .batch = config.search.batch,
                             .seeds = first_genotypes(space, config),
                             .surrogate = std::move(surrogate),
                             .rungs = i64(rung_epochs(config).size()),
                             .inner_population = config.search.inner_population,
                             .inner_generations = config.search.inner_generations,
                             .subset = config.search.subset == "gaps"
                                           ? SurrogateSearchOptions::Subset::gaps
                                           : SurrogateSearchOptions::Subset::hypervolume});
}

// A dash where no pair is told apart.
std::string tau_in_words(double tau) {
  if (std::isnan(tau)) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", tau);
  return text;
}

}  // namespace

std::vector<std::string> sampler_names() { return {"nsga2", "nsga3", "evolution", "random", "surrogate"}; }

std::unique_ptr<Sampler> make_sampler(Exec& exec, const Space& space, const Task& task,
                                      const SearchConfig& config) {
  const u64 seed = stream_seed(config.seed, "variation");
  const std::string& name = config.search.sampler;
  const i64 population = config.search.population;
  std::vector<Genotype> seeds = first_genotypes(space, config);
  GeneSpace genes = gene_space(space);
  if (name == "random")
    return std::make_unique<RandomSearch>(
        std::move(genes), RandomSearchOptions{.seed = seed, .batch = population, .seeds = std::move(seeds)});
  if (name == "evolution")
    return std::make_unique<RegularisedEvolution>(
        std::move(genes),
        RegularisedEvolutionOptions{
            .seed = seed, .population = population, .batch = config.search.batch, .seeds = std::move(seeds)});
  if (name == "surrogate") return surrogate_sampler(exec, space, task, config, std::move(genes), seed);
  if (name == "nsga3") {
    Nsga3Options options;
    options.seed = seed;
    options.population = population;
    options.seeds = std::move(seeds);
    return std::make_unique<Nsga3>(std::move(genes), std::move(options));
  }
  return std::make_unique<Nsga2>(
      std::move(genes), Nsga2Options{.seed = seed, .population = population, .seeds = std::move(seeds)});
}

Outcome outcome_of(const Space& space, const SearchConfig& config, const CandidateRecord& record) {
  if (record.state == CandidateRecord::State::failed) return Failed{record.reason};
  Scored scored{record.objectives, record.violation, record.rungs_left};
  if (config.search.sampler == "surrogate")
    scored.learned = lesson_of(space, teaching_of(space, config), record);
  return scored;
}

std::string surrogate_failure_in_words(const Sampler& sampler) {
  const auto* search = dynamic_cast<const SurrogateSearch*>(&sampler);
  if (!search || search->failure().empty()) return "";
  return "generation " + std::to_string(search->generation() - 1) +
         " is proposed by variation, without surrogates: " + search->failure();
}

std::string surrogate_in_words(const Sampler& sampler) {
  const auto* search = dynamic_cast<const SurrogateSearch*>(&sampler);
  if (!search || search->reports().empty() || search->reports().back().targets.empty()) return "";
  std::string text = "surrogates of generation " + std::to_string(search->reports().back().generation) +
                     ", Kendall's tau of its candidates (of all so far):";
  for (const SurrogateSearch::Target& target : search->reports().back().targets) {
    text += " " + target.kind + " " + tau_in_words(target.tau) + " (" + tau_in_words(target.tau_so_far) + ")";
  }
  return text;
}

}  // namespace offramp::nas
