// What `offramp bench` and kernels_bench share: the flags that say what is timed, and the list of it.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "nas/cli/args.h"
#include "nas/microbench/problems.h"

namespace offramp::cli {

struct BenchOptions {
  std::vector<std::string> shapes, problems, genotypes;
  std::string space, model, target;
  i64 count = 2, batch = 1, train_batch = 8, threads = 1, cold_mb = 0;
  bool all = false, print_shapes = false, no_training = false;
};

void add_bench_flags(Args& args, BenchOptions& options);
// The columns, for --help.
extern const char* const kBenchColumns;

// From files, a space, a model or the shapes compiled in. Throws Error(usage, input).
std::vector<nas::microbench::Problem> bench_problems(const BenchOptions& options);

using SharedWork = std::shared_ptr<const nas::microbench::Work>;
// The works of the problems, their rows those that this machine and --target leave; what it cannot run goes
// to `absent`.
std::vector<SharedWork> bench_works(const BenchOptions& options, std::string& absent);

}  // namespace offramp::cli
