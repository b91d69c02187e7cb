// Inverted-residual blocks among the steps of a plan, for machines that run one in a single launch.
#pragma once
#include <optional>
#include <vector>

#include "kernels/mbconv/mbconv_call.h"
#include "nn/plan/plan.h"

namespace offramp::nn {

struct BlockSteps {
  // Null: the block has none. Squeeze-excite has both of its own or neither.
  const Step *expand = nullptr, *depthwise = nullptr, *reduce = nullptr, *gate = nullptr, *project = nullptr;
  int x = -1;  // buffer; z and y are project's

  kernels::MBConvDims dims(i64 n) const;
};

// Steps [first, end), which are a block, or one step that is part of none.
struct PlanPart {
  size_t first, end;
  std::optional<BlockSteps> block;
};

// The body or head of a stage, in order. Pointwise (1x1) convolution or nothing, depthwise convolution,
// squeeze-excite or nothing, pointwise convolution: a block, if nobody else reads what its steps hand each
// other.
std::vector<PlanPart> parts_of(const Plan& plan, const std::vector<Step>& steps);

}  // namespace offramp::nn
