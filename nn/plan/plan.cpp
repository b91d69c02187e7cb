#include "nn/plan/plan.h"

#include "kernels/act/act.h"
#include "kernels/binary/binary.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/gemm/gemm.h"
#include "kernels/norm/norm.h"
#include "kernels/pool/pool.h"
#include "kernels/resize/resize.h"
#include "kernels/softmax/softmax.h"
#include "nn/plan/dims_fields.h"

namespace offramp::nn {

using namespace kernels;

namespace {

struct Scale {
  i64 n;
  void operator()(GemmDims& d) const { d.m *= n; }
  void operator()(NormDims& d) const { d.rows *= n; }
  void operator()(ActDims& d) const { d.count *= n; }
  void operator()(SoftmaxDims& d) const { d.rows *= n; }
  void operator()(auto& d) const { d.n *= n; }
};

struct CostOf {
  Act act;
  Cost operator()(const Conv2dDims& d) const { return conv2d_cost(d); }
  Cost operator()(const DepthwiseDims& d) const { return depthwise_cost(d); }
  Cost operator()(const GemmDims& d) const { return gemm_cost(d); }
  Cost operator()(const PoolDims& d) const { return pool_cost(d); }
  Cost operator()(const GlobalPoolDims& d) const { return global_avg_pool_cost(d); }
  Cost operator()(const NormDims& d) const { return norm_cost(d, act); }
  Cost operator()(const ActDims& d) const { return act_cost(d); }
  Cost operator()(const BinaryDims& d) const { return binary_cost(d); }
  Cost operator()(const ResizeDims& d) const { return resize_cost(d); }
  Cost operator()(const SoftmaxDims& d) const { return softmax_cost(d); }
};

}  // namespace

i64 Plan::params() const {
  i64 sum = 0;
  for (const PlanWeight& w : weights) sum += w.value.count();
  return sum;
}

StepDims at_batch(const StepDims& dims, i64 n) {
  StepDims scaled = dims;
  std::visit(Scale{n}, scaled);
  return scaled;
}

Cost cost(const Step& step, i64 n) { return std::visit(CostOf{step.act}, at_batch(step.dims, n)); }

Cost cost(const std::vector<Step>& steps, i64 n) {
  Cost sum;
  for (const Step& s : steps) sum += cost(s, n);
  return sum;
}

std::vector<ExitCost> exit_costs(const Plan& plan) {
  std::vector<ExitCost> exits;
  i64 bodies = 0, heads = 0;
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    const PlanStage& stage = plan.stages[s];
    bodies += cost(stage.body).macs;
    if (!stage.has_exit()) continue;
    const i64 head = cost(stage.head).macs;
    heads += head;
    exits.push_back({stage.name, i64(s), bodies, head, bodies + heads});
  }
  return exits;
}

}  // namespace offramp::nn
