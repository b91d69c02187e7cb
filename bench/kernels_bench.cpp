// Times every row of every kernel table on real layer shapes, each verified against the reference first: what
// `offramp bench` does, timed by Google Benchmark.
#include <benchmark/benchmark.h>

#include "bench/bench_main.h"
#include "kernels/blas.h"
#include "nas/cli/bench_cases.h"
#include "nas/microbench/bed.h"
#include "nas/microbench/figures.h"

namespace offramp::bench {
namespace {

using namespace nas::microbench;
using kernels::seconds_spent;

int failures = 0;  // rows that disagree with their reference

void time_row(benchmark::State& state, const cli::SharedWork& work, const WorkRow& row, Bed& bed,
              const kernels::Roofline& roofline, int threads) {
  bed.set(work);
  bed.prepare(row);
  Exec exec(row.target, threads);
  if (const std::string wrong = bed.disagreement(exec, row); !wrong.empty()) {
    ++failures;
    state.SkipWithError(wrong.c_str());
    return;
  }
  const double start = seconds_spent(threads > 1);
  for (auto _ : state) bed.run(exec, row);
  const double seconds = (seconds_spent(threads > 1) - start) / double(state.iterations());
  for (const auto& [name, value] : figures(*work, seconds, roofline, threads, bed.weight_footprint()))
    state.counters[std::string(name)] = value;
}

bool parse(cli::Console& console, const cli::Words& words, cli::BenchOptions& o) {
  cli::Args args(console, "kernels_bench",
                 "times every row of every kernel table on real layer shapes, verified first",
                 {"kernels_bench", "kernels_bench --all --target avx512 --benchmark_filter='^conv2d/1x1'",
                  "kernels_bench --problem 'depthwise n=1 h=14 w=14 c=64 kernel=5 stride=1 pad=2'",
                  "kernels_bench --from-space cifar --genotype max --json > cifar.json",
                  "kernels_bench --print-shapes --from-space small --genotype min --genotype max"});
  args.program("");
  cli::add_bench_flags(args, o);
  args.notes(
      std::string(cli::kBenchColumns) +
      "Flags of Google Benchmark: --benchmark_filter=REGEX, --benchmark_min_time=S,\n"
      "--benchmark_repetitions=N, --benchmark_out=FILE (JSON), ...; --json is --benchmark_format=json.\n");
  return args.parse(words);
}

int run(cli::Console& console, int argc, char** argv) {
  // Google Benchmark takes its flags out; it would also take --help. What stands later wins.
  std::string min_time = "--benchmark_min_time=0.03";
  std::vector<char*> flags{argv[0], min_time.data()};
  cli::Words words;
  for (int i = 1; i < argc; ++i)
    if (std::string(argv[i]).rfind("--benchmark_", 0) == 0)
      flags.push_back(argv[i]);
    else
      words.push_back(argv[i]);
  cli::BenchOptions options;
  if (!parse(console, words, options)) return 0;
  std::string json = "--benchmark_format=json";
  if (console.options.json) flags.push_back(json.data());
  int count = int(flags.size());
  benchmark::Initialize(&count, flags.data());
  if (count > 1) throw usage_error("unknown flag '" + std::string(flags[1]) + "'");

  if (options.print_shapes) {
    for (const Problem& p : cli::bench_problems(options)) console.print(p.text() + "\n");
    return 0;
  }
  std::string absent;
  const std::vector<cli::SharedWork> works = cli::bench_works(options, absent);
  if (!absent.empty()) console.note("cannot run here:" + absent);
  const kernels::Roofline roofline = kernels::measure_roofline();
  console.note(roofline.text());
  benchmark::AddCustomContext("roofline", roofline.text());
  if (!blas_name().empty()) benchmark::AddCustomContext("blas", blas_name());

  Bed bed(options.cold_mb << 20);
  for (const cli::SharedWork& work : works)
    for (const WorkRow& row : work->rows) {
      const std::string name = std::string(row.name) + " " + work->what;
      benchmark::RegisterBenchmark(name.c_str(), [&, work, row = &row](benchmark::State& state) {
        time_row(state, work, *row, bed, roofline, int(options.threads));
      })->Unit(benchmark::kMicrosecond);
    }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  if (failures > 0) console.error("kernels_bench: rows that disagree with the reference: see WRONG above");
  return failures > 0 ? 5 : 0;
}

}  // namespace
}  // namespace offramp::bench

int main(int argc, char** argv) {
  return offramp::bench::guarded_main("kernels_bench", [&](offramp::cli::Console& console) {
    return offramp::bench::run(console, argc, argv);
  });
}
