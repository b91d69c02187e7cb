// Times every row of every kernel table on real layer shapes, each verified against the reference first.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <set>

#include "bench/bench_main.h"
#include "bench/problems.h"
#include "bench/roofline.h"
#include "kernels/blas.h"
#include "kernels/rng.h"
#include "nas/cli/args.h"
#include "nn/plan/model.h"

namespace offramp::bench {
namespace {

int failures = 0;  // rows that disagree with their reference

template <class T>
void fill(Array<T>& out, const Operand& operand, Rng rng) {
  out.resize(std::size_t(operand.count));
  for (T& v : out) switch (operand.fill) {
      case Fill::poison:
        v = std::nanf("");
        break;
      case Fill::integers:
        v = T(i64(rng.below(5)) - 2);
        break;
      case Fill::reals:
        v = T(rng.uniform(-2, 2));
        break;
      case Fill::positive:
        v = T(rng.uniform(0.5f, 1.5f));
        break;
    }
}

template <class T>
Arrays<T> filled(const Work& work) {
  const Rng rng(1);
  Arrays<T> arrays;
  for (std::size_t i = 0; i < work.in.size(); ++i) fill(arrays.in.emplace_back(), work.in[i], rng.derive(i));
  for (std::size_t i = 0; i < work.out.size(); ++i)
    fill(arrays.out.emplace_back(), work.out[i], rng.derive(100 + i));
  return arrays;
}

// The operands of one work at a time, and what its reference makes of them.
class Bed {
 public:
  void set(std::shared_ptr<const Work> work) {
    if (work == work_) return;
    *this = {};
    work_ = std::move(work);
    arrays_ = filled<float>(*work_);
  }
  Arrays<float>& arrays() { return arrays_; }

  // Runs the row once; what is wrong with its result, or nothing.
  std::string disagreement(Exec& exec, const WorkRow& row) {
    if (verified_.count(row.name)) return "";
    if (want_.empty()) {
      const Arrays<double> truth = filled<double>(*work_);
      Exec plain(Target::portable);
      work_->reference(plain, truth);
      want_ = truth.out;
    }
    for (std::size_t o = 0; o < work_->out.size(); ++o)
      fill(arrays_.out[o], work_->out[o], Rng(1).derive(100 + o));
    row.run(exec, arrays_);
    for (std::size_t o = 0; o < want_.size(); ++o) {
      double largest = 0;
      for (double w : want_[o]) largest = std::max(largest, std::fabs(w));
      for (std::size_t i = 0; i < want_[o].size(); ++i) {
        const double got = arrays_.out[o][i], want = want_[o][i];
        if (std::fabs(got - want) <= work_->tolerance * (1 + largest)) continue;  // NaN goes on
        char text[120];
        std::snprintf(text, sizeof text, "WRONG: output %zu element %zu: got %.9g, want %.9g", o, i, got,
                      want);
        return text;
      }
    }
    verified_.insert(row.name);
    return "";
  }

 private:
  std::shared_ptr<const Work> work_;
  Arrays<float> arrays_;
  std::vector<Array<double>> want_;
  std::set<std::string_view> verified_;
};

void time_row(benchmark::State& state, const std::shared_ptr<const Work>& work, const WorkRow& row, Bed& bed,
              const Roofline& roofline, int threads) {
  bed.set(work);
  Exec exec(row.target, threads);
  Arrays<float>& arrays = bed.arrays();
  arrays.packed.clear();
  if (row.pack) row.pack(arrays);
  if (const std::string wrong = bed.disagreement(exec, row); !wrong.empty()) {
    ++failures;
    state.SkipWithError(wrong.c_str());
    return;
  }
  const double start = seconds_spent(threads > 1);
  for (auto _ : state) row.run(exec, arrays);
  const double seconds = (seconds_spent(threads > 1) - start) / double(state.iterations());
  const Cost& cost = work->cost;
  const double bytes = double(cost.bytes_read + cost.bytes_written);
  if (cost.macs > 0)
    state.counters["GMAC/s"] = double(cost.macs) / seconds / 1e9;
  else
    state.counters["GOP/s"] = double(cost.other_ops) / seconds / 1e9;
  state.counters["GB/s"] = bytes / seconds / 1e9;
  state.counters["ops/B"] = double(2 * cost.macs + cost.other_ops) / bytes;
  state.counters["roof%"] = 100 * roofline.seconds(cost, threads) / seconds;
}

struct Options {
  std::vector<std::string> shapes, problems, genotypes;
  std::string space, model, target;
  i64 count = 2, batch = 1, train_batch = 8, threads = 1;
  bool all = false, print_shapes = false;
};

bool parse(cli::Console& console, const cli::Words& words, Options& o) {
  cli::Args args(console, "kernels_bench",
                 "times every row of every kernel table on real layer shapes, verified first",
                 {"kernels_bench", "kernels_bench --all --target avx512 --benchmark_filter='^conv2d/1x1'",
                  "kernels_bench --problem 'depthwise n=1 h=14 w=14 c=64 kernel=5 stride=1 pad=2'",
                  "kernels_bench --from-space cifar --genotype max --json > cifar.json",
                  "kernels_bench --print-shapes --from-space small --genotype min --genotype max"});
  args.program("")
      .repeated("--shapes PATH", o.shapes, "file of problems, or folder of such (default: bench/shapes)")
      .repeated("--problem TEXT", o.problems, "one problem in text form, instead of files")
      .option("--from-space SPACE", o.space, "the layers of networks of this space, instead of files")
      .repeated("--genotype G", o.genotypes, "with --from-space: min, max or indices (default: max)")
      .option("--from-model FILE", o.model, "the layers of a model file, instead of files")
      .option("--count N", o.count, "problems of each kind (default 2, spread in cost, largest first)", 1)
      .flag("--all", o.all, "every problem")
      .option("--batch N", o.batch, "samples of inference calls (default 1)", 1, 4096)
      .option("--train-batch N", o.train_batch, "samples of gradients and batch statistics (default 8)", 1,
              4096)
      .option("--threads N", o.threads, "threads (default 1)", 1, 1024)
      .choice("--target T", o.target, {"portable", "avx2", "avx512"}, "only rows of this target")
      .flag("--print-shapes", o.print_shapes, "print the problems and time nothing")
      .notes(
          "Columns: GMAC/s (GOP/s without multiply-accumulates), GB/s of operands touched once, ops/B = "
          "arithmetic\n"
          "intensity (a multiply-accumulate is two), roof% = share of the roofline measured at the start: "
          "the\n"
          "larger of MACs at peak and bytes at the rate of the cache that holds as many. Taps in the padding "
          "count as\n"
          "MACs, so kernels that leave them out can exceed 100. Operands are hot, weights packed "
          "beforehand.\n"
          "A row that disagrees with the reference is an error and the exit code is 1; rows this processor "
          "cannot\n"
          "run are named on stderr. Flags of Google Benchmark: --benchmark_filter=REGEX, "
          "--benchmark_min_time=S,\n"
          "--benchmark_repetitions=N, --benchmark_out=FILE (JSON), ...; --json is "
          "--benchmark_format=json.\n");
  return args.parse(words);
}

std::vector<Problem> problems_of(const Options& o) {
  std::vector<Problem> problems;
  for (const std::string& text : o.problems) problems.push_back(parse_problem(text));
  if (!o.genotypes.empty() && o.space.empty()) throw usage_error("--genotype needs --from-space");
  if (!o.space.empty())
    for (const std::string& g : o.genotypes.empty() ? std::vector<std::string>{"max"} : o.genotypes)
      add_problems(o.space, g, problems);
  if (!o.model.empty()) add_problems(*nn::load_model(o.model).plan, problems);
  for (const std::string& path : o.shapes)
    for (const Problem& p : read_problems(path)) problems.push_back(p);
  if (problems.empty()) problems = read_problems(OFFRAMP_SHAPES_DIR);
  return o.all || o.print_shapes || !o.problems.empty() ? problems : spread(problems, o.count);
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
  Options options;
  if (!parse(console, words, options)) return 0;
  std::string json = "--benchmark_format=json";
  if (console.options.json) flags.push_back(json.data());
  int count = int(flags.size());
  benchmark::Initialize(&count, flags.data());
  if (count > 1) throw usage_error("unknown flag '" + std::string(flags[1]) + "'");

  const std::vector<Problem> problems = problems_of(options);
  if (options.print_shapes) {
    for (const Problem& p : problems) console.print(p.text() + "\n");
    return 0;
  }
  const Roofline roofline = measure_roofline();
  console.note(roofline.text());
  benchmark::AddCustomContext("roofline", roofline.text());
  if (!blas_name().empty()) benchmark::AddCustomContext("blas", blas_name());

  Bed bed;
  std::set<std::string> absent;  // rows that this processor cannot run
  const auto add = [&](const std::vector<Work>& works) {
    for (const Work& w : works) {
      const auto work = std::make_shared<const Work>(w);
      for (const WorkRow& row : work->rows) {
        if (!options.target.empty() && row.target != parse_target(options.target)) continue;
        if (!cpu_supports(row.target) || !row.shadowed_by.empty()) {
          absent.insert(std::string(row.name) +
                        (row.shadowed_by.empty() ? "" : " (" + row.shadowed_by + " is taken)"));
          continue;
        }
        const std::string name = std::string(row.name) + " " + work->what;
        benchmark::RegisterBenchmark(name.c_str(), [&, work, row = &row](benchmark::State& state) {
          time_row(state, work, *row, bed, roofline, int(options.threads));
        })->Unit(benchmark::kMicrosecond);
      }
    }
  };
  for (const Problem& p : problems) add(inference_works(p, options.batch));
  for (const Problem& p : problems) add(training_works(p, options.train_batch));
  if (!absent.empty()) {
    std::string names;
    for (const std::string& name : absent) names += " " + name;
    console.note("cannot run here:" + names);
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  if (failures > 0) console.error("kernels_bench: rows that disagree with the reference: see WRONG above");
  return failures > 0 ? 1 : 0;
}

}  // namespace
}  // namespace offramp::bench

int main(int argc, char** argv) {
  return offramp::bench::guarded_main("kernels_bench", [&](offramp::cli::Console& console) {
    return offramp::bench::run(console, argc, argv);
  });
}
