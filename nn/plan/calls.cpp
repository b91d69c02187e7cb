#include "nn/plan/calls.h"

#include "kernels/act/act.h"
#include "kernels/binary/binary.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/error.h"
#include "kernels/gemm/gemm.h"
#include "kernels/norm/norm.h"
#include "kernels/pool/pool.h"
#include "kernels/resize/resize.h"
#include "kernels/softmax/softmax.h"

namespace offramp::nn {

using namespace kernels;

namespace {

// Knocks at the door of a step's family, whose recorder is dry: it notes the row it picks and returns.
struct Knock {
  Exec& exec;
  const Step& s;
  void operator()(const Conv2dDims& d) const {
    const Extent out = conv2d_out(d);
    conv2d(exec, Conv2dCall{.dims = d, .out_h = out.h, .out_w = out.w, .act = s.act});
  }
  void operator()(const DepthwiseDims& d) const {
    const Extent out = depthwise_out(d);
    depthwise(exec, DepthwiseCall{.dims = d, .out_h = out.h, .out_w = out.w, .act = s.act});
  }
  void operator()(const GemmDims& d) const {
    gemm(exec,
         GemmCall{.dims = d, .a_row = d.k, .a_k = 1, .b_col = d.k, .b_k = 1, .act = s.act, .c_row = d.n});
  }
  void operator()(const PoolDims& d) const {
    const Extent out = pool_out(d);
    pool(exec, PoolCall{.dims = d, .out_h = out.h, .out_w = out.w});
  }
  void operator()(const GlobalPoolDims& d) const { global_avg_pool(exec, GlobalAvgPoolCall{.dims = d}); }
  void operator()(const NormDims& d) const { norm(exec, NormCall{.dims = d, .eps = s.eps, .act = s.act}); }
  void operator()(const ActDims& d) const { activate(exec, ActCall{.dims = d}); }
  void operator()(const BinaryDims& d) const { binary(exec, BinaryCall{.dims = d}); }
  void operator()(const ResizeDims& d) const { resize(exec, ResizeCall{.dims = d}); }
  void operator()(const SoftmaxDims& d) const { softmax(exec, SoftmaxCall{.dims = d}); }
};

}  // namespace

std::vector<PlanCall> calls_of(const Plan& plan, Target target, i64 n) {
  Recorder recorder{.dry = true};
  Exec exec(target, 1, /*record_only=*/true);
  exec.recorder = &recorder;
  std::vector<PlanCall> calls;
  for (size_t stage = 0; stage < plan.stages.size(); ++stage)
    for (const bool head : {false, true})
      for (const Step& s : head ? plan.stages[stage].head : plan.stages[stage].body) {
        recorder.calls.clear();
        std::visit(Knock{exec, s}, at_batch(s.dims, n));
        if (recorder.calls.size() != 1) throw Error("a step of a plan made more than one kernel call");
        calls.push_back({&s, i64(stage), head, recorder.calls[0].kernel});
      }
  return calls;
}

}  // namespace offramp::nn
