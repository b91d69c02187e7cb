// Device rows of the depthwise convolutions between two normalisations.
#include "kernels/cuda/gemm_kernels.h"
#include "kernels/cuda/problem.h"
#include "kernels/depthwise/depthwise_launch.h"
#include "kernels/normed/normed.h"

namespace offramp::kernels {
namespace cuda {
namespace {

void require_tile(const char* op, const DepthwiseDims& d) {
  if (!has_tile(d))
    throw usage_error(std::string("cuda: ") + op +
                      ": a depthwise kernel of 3, 5 or 7 with a stride of 1 or 2 is wanted, got " +
                      std::to_string(d.kernel) + " with " + std::to_string(d.stride));
}

template <class T>
void forward(Exec& exec, const NormedDepthwiseCallT<T>& call) {
  constexpr const char* kRow = "normed_depthwise/357/cuda";
  const DepthwiseDims& d = call.dims;
  require_tile(kRow, d);
  if (!note(exec, kRow, d, normed_depthwise_cost(d))) return;
  forward_by_tiles<T>(*exec.gpu(), kRow, d, call.out_h, call.out_w, call.in, call.w,
                      MomentsEpilogue<T>{call.y, d.c, call.out, wide_rows(call.y, d.c)});
}

template <class T>
void gradient(Exec& exec, const NormedDepthwiseGradCallT<T>& call) {
  constexpr const char* kRow = "normed_depthwise_grad/357/cuda";
  const DepthwiseDims& d = call.dims;
  require_tile(kRow, d);
  if (!note(exec, kRow, d, normed_depthwise_grad_cost(d))) return;
  Gpu& gpu = *exec.gpu();
  {
    const Aside aside(gpu, call.gx != call.gy.dz);
    weight_grad_by_tiles<T>(gpu, kRow, d, call.out_h, call.out_w, call.in, call.gy, call.gw);
  }
  if (!call.gx) return;
  if (call.in.mean)
    input_grad_by_tiles<T>(gpu, kRow, d, call.out_h, call.out_w, call.gy, call.w,
                           SlopeEpilogue<T>{call.in, call.gx, d.c, d.n * d.h * d.w, call.out,
                                            wide_rows(call.gx, d.c) && wide_rows(call.in.x, d.c)});
  else
    input_grad_by_tiles<T>(gpu, kRow, d, call.out_h, call.out_w, call.gy, call.w,
                           store_epilogue<T>(call.gx, d.c, d.c, nullptr, call.residual, Act::none));
}

}  // namespace

void normed_depthwise(Exec& exec, const NormedDepthwiseCall& call) { forward(exec, call); }
void normed_depthwise_grad(Exec& exec, const NormedDepthwiseGradCall& call) { gradient(exec, call); }

}  // namespace cuda

void normed_depthwise(Exec& exec, const NormedDepthwiseCallT<Bf16>& call) { cuda::forward(exec, call); }
void normed_depthwise_grad(Exec& exec, const NormedDepthwiseGradCallT<Bf16>& call) {
  cuda::gradient(exec, call);
}

}  // namespace offramp::kernels
