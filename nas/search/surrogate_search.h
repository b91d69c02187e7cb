// Surrogate-assisted search: an initial design, then generation after generation a few candidates that
// NSGA-II found on surrogates fitted to everything evaluated so far. Source: Lu et al. 2020 (NSGANetV2);
// AEBNAS uses the same loop. Where surrogates cannot be fitted, the generation is one of NSGA-II instead,
// among everything evaluated.
#pragma once
#include "nas/search/genetic.h"
#include "nas/search/subset.h"
#include "nas/surrogate/surrogate.h"

namespace offramp::nas {

// How predictions become objectives. What surrogates learn of a candidate is Scored::learned, its objectives
// where that is empty.
struct Prediction {
  // Of a canonical genotype, from the predicted values of what is learned: what the search would be told.
  // Exact quantities (the cost of every path) are computed here and need no surrogate. Empty: the learned
  // values are the objectives.
  std::function<Scored(const Genotype&, std::span<const double>)> scored;
  // Objectives as the inner search minimises them, from those above. Empty: the same.
  std::function<std::vector<double>(const std::vector<double>&)> inner;
};

struct SurrogateSearchOptions {
  u64 seed = 0;
  i64 initial = 100;            // size of the initial design
  i64 batch = 8;                // candidates per later generation
  std::vector<Genotype> seeds;  // first members of the initial design
  SurrogateOptions surrogate;   // its seed is derived from the one above
  // How long candidates were trained is an input of the surrogates, beside the genes, where there is more
  // than one rung (Scored::rungs_left); they predict for the last one.
  i64 rungs = 1;
  // The search on the surrogates; it starts from the front of what was evaluated.
  i64 inner_population = 40, inner_generations = 20;
  i32 crossover_percent = 90, mutations = 1, eta = 1;
  enum class Subset { gaps, hypervolume } subset = Subset::hypervolume;
  GapSubsetOptions gaps;
  // Candidates judge themselves by mean - optimism * spread of what is learned, where the surrogate knows its
  // spread.
  double optimism = 0;
};

class SurrogateSearch : public Sampler {
 public:
  // `exec` runs the surrogates and must outlive the sampler. Throws Error on options that make no sense and
  // on seeds out of range; a seed that is invalid or equal to an earlier one is replaced by a random
  // genotype.
  SurrogateSearch(Exec& exec, GeneSpace space, Prediction prediction, SurrogateSearchOptions options);

  // How well the surrogates ordered what they had not seen, generation by generation. A generation without
  // predictions (the initial design; too few samples) has no targets.
  struct Target {
    std::string kind;                         // of the model
    std::vector<CrossValidation> validation;  // where a kind was chosen; empty when it was replayed
    double tau = 0;         // Kendall's, of the generation's own candidates; NaN: no pair told apart
    double tau_so_far = 0;  // of all predicted candidates up to here
  };
  struct Report {
    i64 generation = 0;
    std::vector<Target> targets;
  };
  const std::vector<Report>& reports() const { return reports_; }
  // Why the generation last asked for was proposed without surrogates; empty when it was not.
  const std::string& failure() const { return failure_; }

 private:
  void prepare(i64 generation, const Watch& watch) override;
  std::optional<Proposal> propose(i64 generation, i64 index) override;
  i64 generation_size(i64 generation) const override;
  void told(std::size_t first) override;
  // Everything evaluated, as the surrogates see it; `known`: those whose scores stand.
  struct Lessons {
    std::vector<Genotype> inputs;
    std::vector<std::vector<double>> values;  // [target][input]
    std::vector<std::size_t> known;           // into candidates()
  };
  Lessons lessons() const;
  // The first rank of the known ones, widest apart first: the front, or what misses the constraints least.
  std::vector<std::size_t> first_rank(const std::vector<std::size_t>& known) const;
  // Searches, selects; the proposals that promise most.
  std::vector<Proposal> plan(i64 generation, const Surrogate& surrogate,
                             const std::vector<std::size_t>& known, const Watch& watch) const;
  // Without surrogates.
  std::vector<Proposal> vary(i64 generation, const Watch& watch) const;
  Scored scored(const Genotype& genes, std::vector<double> learned) const;
  // What surrogates see of a genotype, and the number of choices of each.
  Genotype seen(Genotype genes, i64 rungs_left) const;
  std::vector<i32> seen_choices() const;

  Exec& exec_;
  Prediction prediction_;
  SurrogateSearchOptions options_;
  i64 planned_ = -1;  // generation of plan_
  std::vector<Proposal> plan_;
  std::vector<Surrogate::Report> fits_;  // of plan_
  std::string failure_;                  // of plan_
  std::vector<Report> reports_;
};

// What surrogates are to learn of the candidate.
const std::vector<double>& learned_of(const Scored& scored);

}  // namespace offramp::nas
