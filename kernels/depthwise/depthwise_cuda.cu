// Device rows of depthwise convolutions: tiles for kernels of 3, 5 and 7, the grouped convolution for all
// others.
#include "kernels/conv2d/conv2d.h"
#include "kernels/cuda/gemm_kernels.h"
#include "kernels/cuda/problem.h"
#include "kernels/depthwise/depthwise_launch.h"

namespace offramp::kernels {
namespace cuda {
namespace {

Conv2dDims as_grouped(const DepthwiseDims& d) {
  return {.n = d.n,
          .h = d.h,
          .w = d.w,
          .c_in = d.c,
          .c_out = d.c,
          .kernel = d.kernel,
          .stride = d.stride,
          .pad = d.pad,
          .groups = d.c};
}

template <class T>
void forward(Exec& exec, const DepthwiseCallT<T>& call) {
  const DepthwiseDims& d = call.dims;
  if (!has_tile(d))
    return kernels::conv2d(exec, Conv2dCallT<T>{.dims = as_grouped(d),
                                                .out_h = call.out_h,
                                                .out_w = call.out_w,
                                                .x = call.x,
                                                .w = call.w,
                                                .bias = call.bias,
                                                .act = call.act,
                                                .y = call.y});
  constexpr const char* kRow = "depthwise/357/cuda";
  if (!note(exec, kRow, d, depthwise_cost(d))) return;
  forward_by_tiles<T>(*exec.gpu(), kRow, d, call.out_h, call.out_w, {.x = call.x}, call.w,
                      store_epilogue<T>(call.y, d.c, d.c, call.bias, nullptr, call.act));
}

template <class T>
void gradient(Exec& exec, const DepthwiseGradCallT<T>& call) {
  const DepthwiseDims& d = call.dims;
  if (!has_tile(d))
    return kernels::conv2d_grad(exec, Conv2dGradCallT<T>{.dims = as_grouped(d),
                                                         .out_h = call.out_h,
                                                         .out_w = call.out_w,
                                                         .x = call.x,
                                                         .w = call.w,
                                                         .gy = call.gy,
                                                         .gx = call.gx,
                                                         .gw = call.gw});
  constexpr const char *kInput = "depthwise_input_grad/357/cuda", *kWeight = "depthwise_weight_grad/357/cuda";
  Gpu& gpu = *exec.gpu();
  if (call.gx && note(exec, kInput, d, depthwise_input_grad_cost(d)))
    input_grad_by_tiles<T>(gpu, kInput, d, call.out_h, call.out_w, {.dz = call.gy}, call.w,
                           store_epilogue<T>(call.gx, d.c, d.c, nullptr, nullptr, Act::none));
  if (call.gw && note(exec, kWeight, d, depthwise_weight_grad_cost(d)))
    weight_grad_by_tiles<T>(gpu, kWeight, d, call.out_h, call.out_w, {.x = call.x}, {.dz = call.gy}, call.gw);
}

}  // namespace

void depthwise(Exec& exec, const DepthwiseCall& call) { forward(exec, call); }
void depthwise_grad(Exec& exec, const DepthwiseGradCall& call) { gradient(exec, call); }

}  // namespace cuda

void depthwise(Exec& exec, const DepthwiseCallT<Bf16>& call) { cuda::forward(exec, call); }
void depthwise_grad(Exec& exec, const DepthwiseGradCallT<Bf16>& call) { cuda::gradient(exec, call); }

}  // namespace offramp::kernels
