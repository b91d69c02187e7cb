// What a search costs beside training and scoring: candidates through sampler, exact MACs and archive, their
// error made of the genes. Everything else is what `search` does.
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "bench/bench_main.h"
#include "kernels/exec.h"
#include "kernels/timing.h"
#include "nas/cli/args.h"
#include "nas/search/exit_prediction.h"
#include "nas/search/front.h"
#include "nas/search/samplers.h"
#include "nas/study/store.h"

namespace offramp::bench {
namespace {

using namespace nas;

struct Options {
  SearchConfig config;
  i64 candidates = 10000;
  std::string dir;
};

// Larger costs err less, every gene has its say; deterministic.
double error_of(const Genotype& genes, double macs) {
  double error = 0.6 - 0.05 * std::log(macs / 1e6);
  for (std::size_t g = 0; g < genes.size(); ++g)
    error += 0.003 * double((u64(genes[g]) + 1) * (g * 2654435761u % 97) % 7);
  return error;
}

CandidateRecord scored(const Proposal& proposal, const std::vector<double>& leave) {
  CandidateRecord record{.id = proposal.id,
                         .generation = proposal.generation,
                         .genotype = proposal.genotype,
                         .origin = proposal.origin,
                         .parents = proposal.parents,
                         .weights = "none"};
  i64 on = 0;
  for (const double cost : leave) on += cost >= 0;
  for (const double cost : leave) {
    if (cost < 0) continue;
    record.exit_shares.push_back(1.0 / double(on));
    record.exit_accuracies.push_back(0.5);
    record.avg_macs += cost / double(on);
  }
  record.thresholds.assign(std::size_t(on - 1), 0.5);
  record.full_macs = i64(leave.back());
  record.objectives = {error_of(proposal.genotype, record.avg_macs), record.avg_macs};
  record.accuracy_tune = 1 - record.objectives[0];
  return record;
}

int run(cli::Console& console, const cli::Words& words) {
  Options o;
  o.config.space = "aebnas";
  o.config.search.population = 40;
  std::vector<std::string> sets;
  cli::Args args(console, "engine_bench", "seconds of a search beside training and scoring, one thread",
                 {"engine_bench", "engine_bench --candidates 340 --set search.sampler=surrogate"});
  args.program("")
      .option("--space S", o.config.space, "search space, default aebnas")
      .option("--candidates N", o.candidates, "candidates in all, default 10000", 2, 1000000)
      .option("--dir DIR", o.dir, "where the archive is written for a while, default build")
      .repeated("--set K=V", sets, "one configuration key")
      .seed(o.config.seed);
  if (!args.parse(words)) return 0;
  for (const std::string& s : sets) set_assignment(o.config, s);
  const Space space = Space::load(o.config.space);
  const Task task{};
  Exec exec(default_target(), 1);
  const std::string path = (o.dir.empty() ? "build" : o.dir) + "/engine_bench.sqlite";
  std::filesystem::remove(path);

  double propose = 0, costs = 0, archive = 0;
  const double start = now_seconds();
  i64 done = 0;
  std::size_t front_size = 0;
  {
    Store store = Store::create(path);
    const std::unique_ptr<Sampler> sampler = make_sampler(exec, space, task, o.config);
    Front front;
    while (done < o.candidates) {
      double t = now_seconds();
      const std::vector<Proposal> proposals = sampler->ask(o.candidates - done);
      propose += now_seconds() - t;
      if (proposals.empty()) break;
      std::vector<Evaluation> evaluations;
      for (const Proposal& proposal : proposals) {
        t = now_seconds();
        const CandidateRecord record =
            scored(proposal, exact_costs(space, proposal.genotype, task).leave_macs);
        costs += now_seconds() - t;
        t = now_seconds();
        store.add(record);
        archive += now_seconds() - t;
        evaluations.push_back({record.id, outcome_of(space, o.config, record)});
        front.insert(record.id, evaluations.back().outcome);
        ++done;
      }
      t = now_seconds();
      sampler->tell(evaluations);
      propose += now_seconds() - t;
    }
    front_size = front.points().size();
  }
  const double total = now_seconds() - start;
  std::filesystem::remove(path);
  std::printf(
      "%s, %s: %lld candidates in %.2f s: sampler %.2f, exact MACs %.2f, archive %.2f; front of %zu\n",
      o.config.space.c_str(), o.config.search.sampler.c_str(), static_cast<long long>(done), total, propose,
      costs, archive, front_size);
  return 0;
}

}  // namespace
}  // namespace offramp::bench

int main(int argc, char** argv) {
  using namespace offramp;
  return bench::guarded_main("engine_bench", [&](cli::Console& console) {
    return bench::run(console, cli::Words(argv + 1, argv + argc));
  });
}
