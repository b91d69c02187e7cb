// What ran, or would run: the list that cost, plan and profile are read from.
#pragma once
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/act/act_call.h"
#include "kernels/binary/binary_call.h"
#include "kernels/conv2d/conv2d_call.h"
#include "kernels/cost.h"
#include "kernels/depthwise/depthwise_call.h"
#include "kernels/exec.h"
#include "kernels/gemm/gemm_call.h"
#include "kernels/norm/norm_call.h"
#include "kernels/pool/pool_call.h"
#include "kernels/resize/resize_call.h"
#include "kernels/softmax/softmax_call.h"

namespace offramp {

// The forward calls an inference plan is made of. Gradients, losses and updates are noted as monostate:
// their cost counts, but no plan is made of them.
using ForwardCall = std::variant<std::monostate, kernels::Conv2dCall, kernels::DepthwiseCall, kernels::GemmCall,
                                 kernels::PoolCall, kernels::GlobalAvgPoolCall, kernels::NormCall,
                                 kernels::ActCall, kernels::BinaryCall, kernels::ResizeCall,
                                 kernels::SoftmaxCall>;

struct RecordedCall {
  std::string_view kernel;  // row name, "family/variant/target"
  Cost cost;
  ForwardCall call;
};

struct Recorder {
  bool dry = false;  // note and run nothing: pointers may then be addresses without memory behind them
  std::vector<RecordedCall> calls;

  Cost total() const {
    Cost sum;
    for (const RecordedCall& c : calls) sum += c.cost;
    return sum;
  }
};

// Used by every door: notes the call; true = run it, false = the recorder is dry.
inline bool note(Exec& exec, std::string_view kernel, const Cost& cost, ForwardCall call = {}) {
  if (!exec.recorder) return true;
  exec.recorder->calls.push_back({kernel, cost, std::move(call)});
  return !exec.recorder->dry;
}

}  // namespace offramp
