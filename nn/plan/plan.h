// The deployed form of a network: the list of kernel calls that the binary makes, and nothing beside it.
// Cost, latency, profile and the early-exit runner all read this one list.
#pragma once
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/cost.h"
#include "kernels/recorder.h"
#include "tensor/tensor.h"

namespace offramp::nn {

using StepDims = std::variant<kernels::Conv2dDims, kernels::DepthwiseDims, kernels::GemmDims,
                              kernels::PoolDims, kernels::GlobalPoolDims, kernels::NormDims, kernels::ActDims,
                              kernels::BinaryDims, kernels::ResizeDims, kernels::SoftmaxDims>;

// One kernel call for one sample. Buffers and weights are indices into the plan, -1 = none.
struct Step {
  StepDims dims;                                   // of one sample; at_batch() scales them
  int x = -1;                                      // input buffer
  int z = -1;                                      // conv2d, gemm: residual; binary: second operand
  int y = -1;                                      // output buffer, written by this step alone
  int w = -1, bias = -1;                           // conv2d, depthwise, gemm
  int mean = -1, var = -1, gamma = -1, beta = -1;  // norm
  float eps = 0;                                   // norm
  Act act = Act::none;                             // conv2d, depthwise, gemm, norm (act has its own in dims)
};

struct PlanWeight {
  std::string name;
  Tensor value;  // float32, contiguous; a meta tensor in a plan recorded without weights
};

struct PlanStage {
  std::string name;
  std::vector<Step> body, head;  // an empty head: no exit here
  int features = -1;             // buffer the body ends in; input of head and of the next body
  int logits = -1;               // buffer the head ends in, Plan::outputs() values a sample
  bool has_exit() const { return !head.empty(); }
};

struct Plan {
  i64 height = 0, width = 0, channels = 0, classes = 0;
  bool learned_confidence = false;  // early exits' outputs end in the logit of a confidence of their own
  std::vector<i64> buffers;         // floats of one sample; buffers[0] is the input image
  std::vector<PlanWeight> weights;
  std::vector<PlanStage> stages;

  i64 params() const;  // numbers stored in weights
  // Values that the head of a stage gives.
  i64 outputs(std::size_t stage) const {
    return classes + (learned_confidence && stage + 1 < stages.size() ? 1 : 0);
  }
};

StepDims at_batch(const StepDims& dims, i64 n);
Cost cost(const Step& step, i64 n = 1);
Cost cost(const std::vector<Step>& steps, i64 n = 1);
// "conv2d n=1 h=32 w=32 c_in=3 c_out=16 kernel=3 stride=1 pad=1 groups=1": one line, field by field.
std::string dims_text(const StepDims& dims);
// The same line back. Every field must be there, each once, in any order; enums are numbers. Throws
// Error(input) for an unknown operation or field and for sizes no kernel takes.
StepDims parse_dims(std::string_view text);

// What leaving costs, per exit in order; the one list that tuner, evaluation and reports use.
struct ExitCost {
  std::string name;
  i64 stage;        // index into Plan::stages
  i64 prefix_macs;  // bodies up to and including this stage
  i64 head_macs;
  i64 leave_macs;  // prefix + own head + heads of all earlier exits
};
std::vector<ExitCost> exit_costs(const Plan& plan);

// Checks a plan from outside before anything is allocated: indices, sizes, order of writing and reading.
// Throws Error(input) saying which step is wrong.
void require_valid(const Plan& plan);
void require_valid(const StepDims& dims);  // the sizes of one step alone

}  // namespace offramp::nn
