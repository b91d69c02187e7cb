// How long the surrogates of a search take to be fitted, to answer, and how well they order what they have
// not seen: genotypes of a real space, exact MACs, and an error made of the genes, which a search would
// measure.
#include <cmath>
#include <cstdio>

#include "bench/bench_main.h"
#include "kernels/timing.h"
#include "nas/cli/args.h"
#include "nas/seeds.h"
#include "nas/space/space.h"
#include "nas/surrogate/kendall.h"
#include "nas/surrogate/surrogate.h"
#include "nn/record.h"

namespace offramp::bench {
namespace {

using namespace nas;

struct Options {
  std::string space = "aebnas", kinds = "rbf,gp,carts,as,mlp";
  i64 genotypes = 340, held_out = 200, mlp_epochs = 2000;
  u64 seed = 1;
  int threads = 2;
};

struct Samples {
  std::vector<Genotype> genotypes;
  std::vector<std::vector<double>> values{2};  // error in percent, average MACs in millions
};

double average_macs(const Space& space, const Genotype& genotype) {
  nn::MetaParameters weightless;
  nn::EarlyExitNetwork network(space.decode(genotype, {}), weightless);
  const std::vector<nn::ExitCost> costs = nn::exit_costs(nn::deployable(network));
  double sum = 0;
  for (const nn::ExitCost& c : costs) sum += double(c.leave_macs);
  return sum / double(costs.size());
}

// Diminishing returns of MACs, a preference for every gene and for a few pairs of them, noise of 0.3 points.
Samples draw(const Space& space, i64 count, u64 seed, u64 taste) {
  Samples out;
  Rng tastes(taste);
  std::vector<double> likes;
  for (std::size_t i = 0; i < space.genes().size(); ++i) likes.push_back(tastes.uniform(-0.6f, 0.6f));
  for (i64 i = 0; i < count; ++i) {
    Rng rng = Rng(seed).derive(u64(i));
    const Genotype genes = space.sample(rng);
    const double macs = average_macs(space, genes) / 1e6;
    double error = 40 - 6 * std::log(macs) + 0.3 * (rng.uniform() + rng.uniform() - 1);
    for (std::size_t g = 0; g < genes.size(); ++g) error += likes[g] * genes[g];
    for (std::size_t g = 0; g + 7 < genes.size(); g += 5) error += 0.4 * genes[g] * genes[g + 7];
    out.genotypes.push_back(genes);
    out.values[0].push_back(error);
    out.values[1].push_back(macs);
  }
  return out;
}

int run(cli::Console& console, const cli::Words& words) {
  Options o;
  cli::Args args(console, "surrogate_bench",
                 "time to fit surrogates to a pair of targets, and their Kendall tau",
                 {"surrogate_bench --threads 2", "surrogate_bench --kinds gp,as --genotypes 100"});
  args.option("--space S", o.space, "search space, default aebnas")
      .option("--kinds K", o.kinds, "surrogates, separated by commas")
      .option("--genotypes N", o.genotypes, "samples to fit to, default 340", 2, 100000)
      .option("--held-out N", o.held_out, "samples to be ordered, default 200", 2, 100000)
      .option("--mlp-epochs N", o.mlp_epochs, "epochs of the mlp, default 2000", 1, 1000000)
      .threads(o.threads);
  if (!args.parse(words)) return 0;
  const Space space = Space::load(o.space);
  std::vector<i32> choices;
  for (const Gene& gene : space.genes()) choices.push_back(i32(gene.values.size()));
  const Samples train = draw(space, o.genotypes, stream_seed(o.seed, "train"), o.seed),
                held = draw(space, o.held_out, stream_seed(o.seed, "held"), o.seed);
  Exec exec(default_target(), o.threads);
  std::printf("%zu genes, %lld samples, two targets, %d threads\n", choices.size(),
              static_cast<long long>(o.genotypes), o.threads);
  std::printf("%-6s %9s %14s %12s %12s\n", "kind", "fit s", "answer us each", "tau error", "tau MACs");
  for (std::size_t begin = 0; begin < o.kinds.size();) {
    const std::size_t end = std::min(o.kinds.find(',', begin), o.kinds.size());
    const std::string kind = o.kinds.substr(begin, end - begin);
    begin = end + 1;
    // The mlp as published: raw genes, percent and millions.
    const bool raw = kind == "mlp";
    Surrogate surrogate(choices, {.kind = kind,
                                  .raw_inputs = raw,
                                  .units = raw ? std::vector<double>{1, 1} : std::vector<double>(),
                                  .seed = o.seed,
                                  .mlp_epochs = o.mlp_epochs});
    const double start = now_seconds();
    surrogate.fit(exec, train.genotypes, train.values);
    const double fitted = now_seconds();
    const auto got = surrogate.predict(exec, held.genotypes, false);
    const double answered = now_seconds();
    std::printf("%-6s %9.2f %14.1f", kind.c_str(), fitted - start,
                1e6 * (answered - fitted) / double(held.genotypes.size()));
    for (std::size_t t = 0; t < 2; ++t)
      std::printf(" %12.3f", rank_agreement(means(got[t]), held.values[t]).tau());
    for (const Surrogate::Report& report : surrogate.reports())
      if (!report.validation.empty()) {
        std::printf("  %s:", report.kind.c_str());
        for (const CrossValidation& v : report.validation)
          std::printf(" %s %.2f-%.2f", v.name.c_str(), v.mean(), v.deviation());
      }
    std::printf("\n");
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace offramp::bench

int main(int argc, char** argv) {
  using namespace offramp;
  return bench::guarded_main("surrogate_bench", [&](cli::Console& console) {
    return bench::run(console, cli::Words(argv + 1, argv + argc));
  });
}
