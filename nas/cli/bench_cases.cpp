#include "nas/cli/bench_cases.h"

#include <set>

#include "kernels/error.h"
#include "nn/plan/model.h"

namespace offramp::cli {

using namespace nas::microbench;

void add_bench_flags(Args& args, BenchOptions& o) {
  args.repeated("--shapes PATH", o.shapes, "file of problems, or folder of such (default: those compiled in)")
      .repeated("--problem TEXT", o.problems, "one problem in text form, instead of files")
      .option("--from-space SPACE", o.space, "the layers of networks of this space, instead of files")
      .repeated("--genotype G", o.genotypes, "with --from-space: min, max or indices (default: max)")
      .option("--from-model FILE", o.model, "the layers of a model file, instead of files")
      .option("--count N", o.count, "problems of each kind (default 2, spread in cost, largest first)", 1)
      .flag("--all", o.all, "every problem")
      .option("--batch N", o.batch, "samples of inference calls (default 1)", 1, 4096)
      .option("--train-batch N", o.train_batch, "samples of gradients and batch statistics (default 8)", 1,
              4096)
      .flag("--no-training", o.no_training, "inference calls only")
      .option("--cold MB", o.cold_mb, "read packed weights from copies of so many MB in turn", 0, 4096)
      .option("--threads N", o.threads, "threads (default 1)", 1, 1024)
      .choice("--target T", o.target, {"portable", "avx2", "avx512"}, "only rows of this target")
      .flag("--print-shapes", o.print_shapes, "print the problems and time nothing");
}

const char* const kBenchColumns =
    "Columns: GMAC/s (GOP/s without multiply-accumulates), GB/s of operands touched once, ops/B = "
    "arithmetic\n"
    "intensity (a multiply-accumulate is two), peak% of the FMA peak (depthwise: all taps; valid%: those "
    "inside\n"
    "the image), roof% = the least time on this machine's roofline, measured at the start, over the time "
    "taken:\n"
    "the larger of MACs at peak and bytes at the rate of the cache level that holds as many; with --cold,\n"
    "weights at the rate of the level that holds their copies. A row that disagrees with its reference is\n"
    "marked WRONG and not timed.\n";

std::vector<Problem> bench_problems(const BenchOptions& o) {
  std::vector<Problem> problems;
  for (const std::string& text : o.problems) problems.push_back(parse_problem(text));
  if (!o.genotypes.empty() && o.space.empty()) throw usage_error("--genotype needs --from-space");
  if (!o.space.empty())
    for (const std::string& g : o.genotypes.empty() ? std::vector<std::string>{"max"} : o.genotypes)
      add_problems(o.space, g, problems);
  if (!o.model.empty()) add_problems(*nn::load_model(o.model).plan, problems);
  for (const std::string& path : o.shapes)
    for (const Problem& p : read_problems(path)) problems.push_back(p);
  if (problems.empty()) problems = builtin_problems();
  return o.all || o.print_shapes || !o.problems.empty() ? problems : spread(problems, o.count);
}

std::vector<SharedWork> bench_works(const BenchOptions& o, std::string& absent) {
  const std::vector<Problem> problems = bench_problems(o);
  std::vector<SharedWork> works;
  std::set<std::string> missing;
  const auto add = [&](std::vector<Work> list) {
    for (Work& work : list) {
      std::vector<WorkRow> rows;
      for (WorkRow& row : work.rows) {
        if (!o.target.empty() && row.target != parse_target(o.target)) continue;
        if (!cpu_supports(row.target))
          missing.insert(std::string(row.name));
        else if (!row.shadowed_by.empty())
          missing.insert(std::string(row.name) + " (" + row.shadowed_by + " is taken)");
        else
          rows.push_back(std::move(row));
      }
      work.rows = std::move(rows);
      if (!work.rows.empty()) works.push_back(std::make_shared<const Work>(std::move(work)));
    }
  };
  for (const Problem& p : problems) add(inference_works(p, o.batch));
  if (!o.no_training)
    for (const Problem& p : problems) add(training_works(p, o.train_batch));
  for (const std::string& name : missing) absent += " " + name;
  return works;
}

}  // namespace offramp::cli
