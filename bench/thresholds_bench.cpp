// How long each tuner of thresholds takes, and what it finds: one network's answers made up as networks give
// them, later exits right more often, easy samples early and surely.
#include <algorithm>
#include <cstdio>

#include "bench/bench_main.h"
#include "kernels/rng.h"
#include "kernels/timing.h"
#include "nas/cli/args.h"
#include "nas/thresholds/policy.h"
#include "nas/thresholds/tuner.h"

namespace offramp::bench {
namespace {

using namespace nas;

// A sample is answered right where its difficulty is below the exit's skill, but for noise; confidence is the
// distance between the two, with more noise of its own.
ExitTable answers(i64 samples, i64 exits, u64 seed) {
  Rng rng(seed);
  ExitTable table{.samples = samples, .exits = exits};
  for (i64 s = 0; s < samples; ++s) {
    const i32 label = i32(rng.below(10));
    const float difficulty = rng.uniform();
    table.label.push_back(label);
    for (i64 e = 0; e < exits; ++e) {
      const float skill = 0.55f + 0.4f * float(e + 1) / float(exits);
      const float ease = skill - difficulty + 0.15f * (rng.uniform() + rng.uniform() - 1);
      table.confidence.push_back(std::clamp(0.5f + ease + 0.6f * (rng.uniform() - 0.5f), 0.0f, 1.0f));
      table.predicted.push_back(ease > 0 ? label : (label + 1) % 10);
    }
  }
  return table;
}

// Bodies that grow a little, heads of a tenth of a body.
ExitCosts costs_of(i64 exits) {
  ExitCosts costs;
  for (i64 e = 0; e < exits; ++e) {
    costs.body.push_back(1000000 + 150000 * e);
    costs.head.push_back(100000);
  }
  return costs;
}

int run(cli::Console& console, const cli::Words& words) {
  i64 samples = 5000, early = 4, repeats = 5;
  double share = 0.5;
  u64 seed = 1;
  cli::Args args(console, "thresholds_bench", "time of each tuner, on one core",
                 {"thresholds_bench", "thresholds_bench --early 2 --samples 10000"});
  args.option("--samples N", samples, "default 5000", 1, 1000000)
      .option("--early N", early, "early exits, default 4", 0, 12)
      .option("--share S", share, "target as a share of the whole network's cost, default 0.5")
      .option("--repeats N", repeats, "the median of so many is printed, default 5", 1, 1000)
      .seed(seed);
  if (!args.parse(words)) return 0;
  const ExitTable table = answers(samples, early + 1, seed);
  const ExitCosts costs = costs_of(early + 1);
  const PolicyResult whole = apply_policy(table, costs, Thresholds(std::size_t(early)));
  const i64 target = i64(share * whole.average_cost());
  std::printf("%lld samples, %lld early exits; all to the end: accuracy %.2f %%\n",
              static_cast<long long>(samples), static_cast<long long>(early), 100 * whole.accuracy());
  std::printf("%-10s %10s %12s %22s\n", "tuner", "seconds", "accuracy", "cost, share of target");
  for (const std::string& kind : tune_kinds()) {
    if (kind == "genes") continue;  // nothing is tuned
    std::vector<double> seconds;
    CurvePoint found;
    for (i64 r = 0; r < repeats; ++r) {
      const double start = now_seconds();
      found = tune(table, costs, {.kind = parse_tune_kind(kind), .target = target});
      seconds.push_back(now_seconds() - start);
    }
    std::nth_element(seconds.begin(), seconds.begin() + i64(seconds.size() / 2), seconds.end());
    std::printf("%-10s %10.4f %10.2f %% %22.3f\n", kind.c_str(), seconds[seconds.size() / 2],
                100 * double(found.correct) / double(samples),
                double(found.total_cost) / double(samples) / double(target));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace offramp::bench

int main(int argc, char** argv) {
  using namespace offramp;
  return bench::guarded_main("thresholds_bench", [&](cli::Console& console) {
    return bench::run(console, cli::Words(argv + 1, argv + argc));
  });
}
