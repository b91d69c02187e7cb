// The problems that are timed: lines of text, from files or from the networks of a space.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "nas/microbench/work.h"
#include "nn/plan/plan.h"

namespace offramp::nas::microbench {

// "conv2d n=1 h=32 ...", as nn::dims_text prints a step, or "update count=N": an optimiser's step over N
// values.
struct Problem {
  nn::StepDims step;
  i64 update = 0;  // not 0: this, and no step
  std::string text() const;
  friend bool operator==(const Problem&, const Problem&) = default;
};

// Throws Error(input).
Problem parse_problem(std::string_view line);

// One problem a line; '#' starts a comment. A folder means its *.txt in order. Throws Error(input) with path
// and line.
std::vector<Problem> read_problems(const std::string& path);

// The files of bench/shapes, compiled in.
struct BuiltinShapes {
  std::string_view name, text;
};
const std::vector<BuiltinShapes>& builtin_shapes();
std::vector<Problem> builtin_problems();

// Every call of a plan for one sample. Without repetition, in order of first use.
void add_problems(const nn::Plan& plan, std::vector<Problem>& to);
// Of the network a genotype stands for: its deployed plan, the normalisations and activations of the plan
// that is trained, and one update over its parameters. `genotype` is "min", "max" or indices.
void add_problems(const std::string& space, const std::string& genotype, std::vector<Problem>& to);

// At most `count` of each kind (operation, kernel size, grouping, mode), evenly spread in cost, largest
// first. 0: all.
std::vector<Problem> spread(const std::vector<Problem>& problems, i64 count);

// What can be done with a problem: calls of inference on `batch` samples, or what training adds to them.
std::vector<Work> inference_works(const Problem& problem, i64 batch);
std::vector<Work> training_works(const Problem& problem, i64 batch);

}  // namespace offramp::nas::microbench
