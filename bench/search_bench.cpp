// Hypervolume over evaluations of every sampler, on problems whose fronts are known.
#include <cstdio>
#include <memory>

#include "bench/bench_main.h"
#include "bench/known_fronts.h"
#include "kernels/timing.h"
#include "nas/cli/args.h"
#include "nas/search/evolution.h"
#include "nas/search/front.h"
#include "nas/search/hypervolume.h"
#include "nas/search/nsga2.h"
#include "nas/search/nsga3.h"
#include "nas/search/random_search.h"
#include "nas/search/surrogate_search.h"

namespace offramp::bench {
namespace {

using namespace nas;

struct Options {
  i64 evals = 1000, initial = 60, batch = 8, seeds = 3, genes = 40, inner_population = 40,
      inner_generations = 20;
  double coupling = 0.3, optimism = 0;
  std::string kinds = "rbf,gp,carts,as", subset = "hypervolume";
  int threads = 2;
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

// Share of the known front's hypervolume after each evaluation.
std::vector<double> curve_of(Sampler& sampler, const KnownFront& problem, i64 evals) {
  const double whole = hypervolume(problem.front, problem.reference);
  std::vector<double> curve;
  Front front;
  while (i64(curve.size()) < evals) {
    const std::vector<Proposal> proposals = sampler.ask(evals - i64(curve.size()));
    if (proposals.empty()) break;
    std::vector<Evaluation> told;
    for (const Proposal& p : proposals) {
      told.push_back({p.id, problem(p.genotype)});
      const bool better = front.insert(p.id, told.back().outcome);
      curve.push_back(!better && !curve.empty() ? curve.back()
                                                : hypervolume(front.objectives(), problem.reference) / whole);
    }
    sampler.tell(told);
  }
  return curve;
}

void compare(const Options& o, const std::string& name, const KnownFront& problem) {
  Exec exec(default_target(), o.threads);
  const i64 assisted = o.evals / 5;
  std::printf("\n%s, %zu genes: share of the front's hypervolume, mean of %lld seeds\n%-14s", name.c_str(),
              problem.space.choices.size(), static_cast<long long>(o.seeds), "evaluations");
  std::vector<i64> stops;
  for (i64 tenth : {1, 2, 4, 6, 8, 10}) stops.push_back(assisted * tenth / 10);
  for (i64 s : {2, 3, 5}) stops.push_back(assisted * s);
  for (i64 s : stops) std::printf(" %7lld", static_cast<long long>(s));
  std::printf("   to random's total   s/seed   tau\n");
  std::vector<double> totals;  // of random search, per seed
  for (const std::string& sampler_name : split("random,evolution,nsga2,nsga3," + o.kinds)) {
    std::vector<double> mean(stops.size(), 0);
    double seconds = 0, taus = 0;
    std::string reached;
    i64 evals = o.evals;
    for (i64 seed = 0; seed < o.seeds; ++seed) {
      std::unique_ptr<Sampler> sampler;
      SurrogateSearch* by_surrogate = nullptr;
      const i64 population = std::min<i64>(40, o.initial);
      if (sampler_name == "random") {
        sampler = std::make_unique<RandomSearch>(problem.space, RandomSearchOptions{.seed = u64(seed)});
      } else if (sampler_name == "evolution") {
        sampler = std::make_unique<RegularisedEvolution>(
            problem.space, RegularisedEvolutionOptions{.seed = u64(seed), .population = population});
      } else if (sampler_name == "nsga2") {
        sampler =
            std::make_unique<Nsga2>(problem.space, Nsga2Options{.seed = u64(seed), .population = population});
      } else if (sampler_name == "nsga3") {
        sampler = std::make_unique<Nsga3>(problem.space,
                                          Nsga3Options{{.seed = u64(seed), .population = population}});
      } else {
        evals = assisted;
        auto made = std::make_unique<SurrogateSearch>(
            exec, problem.space, Prediction{},
            SurrogateSearchOptions{.seed = u64(seed),
                                   .initial = o.initial,
                                   .batch = o.batch,
                                   .surrogate = {.kind = sampler_name},
                                   .inner_population = o.inner_population,
                                   .inner_generations = o.inner_generations,
                                   .subset = o.subset == "gaps" ? SurrogateSearchOptions::Subset::gaps
                                                                : SurrogateSearchOptions::Subset::hypervolume,
                                   .optimism = o.optimism});
        by_surrogate = made.get();
        sampler = std::move(made);
      }
      const double start = now_seconds();
      const std::vector<double> curve = curve_of(*sampler, problem, evals);
      seconds += now_seconds() - start;
      if (sampler_name == "random") totals.push_back(curve.back());
      for (std::size_t i = 0; i < stops.size(); ++i)
        mean[i] += curve[std::size_t(std::min(stops[i], i64(curve.size())) - 1)] / double(o.seeds);
      const auto at = std::find_if(curve.begin(), curve.end(),
                                   [&](double share) { return share >= totals[std::size_t(seed)]; });
      reached += " " + (at == curve.end() ? "-" : std::to_string(at - curve.begin() + 1));
      if (by_surrogate) taus += by_surrogate->reports().back().targets.at(1).tau_so_far / double(o.seeds);
    }
    std::printf("%-14s", sampler_name.c_str());
    for (std::size_t i = 0; i < stops.size(); ++i)
      stops[i] <= evals ? std::printf(" %7.4f", mean[i]) : std::printf(" %7s", "");
    std::printf("   %-17s %8.2f", reached.c_str(), seconds / double(o.seeds));
    if (taus != 0) std::printf("  %.2f", taus);
    std::printf("\n");
    std::fflush(stdout);
  }
}

int run(cli::Console& console, const cli::Words& words) {
  Options o;
  cli::Args args(console, "search_bench",
                 "samplers on known fronts; those with surrogates get a fifth of the evaluations",
                 {"search_bench --evals 1000 --kinds rbf,gp"});
  args.option("--evals N", o.evals, "evaluations of samplers without surrogates, default 1000", 50, 1000000)
      .option("--initial N", o.initial, "initial design of samplers with surrogates, default 60", 4, 100000)
      .option("--batch N", o.batch, "candidates per generation of those, default 8", 1, 1000)
      .option("--seeds N", o.seeds, "runs per sampler, default 3", 1, 100)
      .option("--genes N", o.genes, "genes, default 40", 4, 10000)
      .option("--inner-population N", o.inner_population, "of the search on surrogates, default 40", 2, 10000)
      .option("--inner-generations N", o.inner_generations, "of it, default 20", 1, 10000)
      .option("--coupling C", o.coupling,
              "share of the objectives that comes from pairs of genes, default 0.3")
      .option("--optimism K", o.optimism, "standard deviations of hope, default 0")
      .option("--kinds K", o.kinds, "surrogates, separated by commas, default rbf,gp,carts,as")
      .option("--subset S", o.subset, "hypervolume or gaps, default hypervolume")
      .threads(o.threads);
  if (!args.parse(words)) return 0;
  compare(o, "zdt1", zdt(o.genes, 4, 0.5, o.coupling));
  compare(o, "zdt2", zdt(o.genes, 4, 2, o.coupling));
  compare(o, "dtlz2", dtlz2(o.genes, 16, 4));
  return 0;
}

}  // namespace
}  // namespace offramp::bench

int main(int argc, char** argv) {
  using namespace offramp;
  return bench::guarded_main("search_bench", [&](cli::Console& console) {
    return bench::run(console, cli::Words(argv + 1, argv + argc));
  });
}
