// The kernel calls that running a plan makes, found without running it.
#pragma once
#include <string_view>
#include <vector>

#include "kernels/target.h"
#include "nn/plan/plan.h"

namespace offramp::nn {

struct PlanCall {
  const Step* step;  // of the plan asked about, which must outlive this
  i64 stage;
  bool head;                // of the stage's head, else of its body
  std::string_view kernel;  // row that the kernels' tables pick
};

// One call per step: stage by stage, body before head, as `n` samples run on `target`, which this CPU need
// not have. Nothing is computed and no weights are needed.
std::vector<PlanCall> calls_of(const Plan& plan, Target target, i64 n = 1);

}  // namespace offramp::nn
