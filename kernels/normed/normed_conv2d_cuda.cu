// Device rows of dense convolutions with a normalisation behind them.
#include "kernels/conv2d/conv2d_rows.h"
#include "kernels/cuda/gemm_kernels.h"
#include "kernels/cuda/problem.h"
#include "kernels/cuda/window_sides.h"
#include "kernels/normed/normed.h"

namespace offramp::kernels::cuda {
namespace {

template <class T>
void forward(Exec& exec, const NormedConv2dCallT<T>& call) {
  constexpr const char* kRow = "normed_conv2d/any/cuda";
  const Conv2dDims& d = call.dims;
  if (!note(exec, kRow, d, normed_conv2d_cost(d))) return;
  Gpu& gpu = *exec.gpu();
  const i64 rows = d.n * call.out_h * call.out_w;
  const auto w = weight_side<false>(call.w, d.c_out, d.c_in, d.kernel);
  const MomentsEpilogue<T> moments{call.y, d.c_out, call.out, wide_rows(call.y, d.c_out)};
  with_math<T>(exec, [&](auto math) {
    using Math = decltype(math);
    if (is_pointwise(d))
      product_by_rows<Math, true>(gpu, kRow, rows_side(call.x, rows, d.c_in, d.c_in), w, moments, rows,
                                  d.c_out, d.c_in);
    else
      product_by_rows<Math, true>(gpu, kRow, input_side(d, call.out_h, call.out_w, call.x), w, moments, rows,
                                  d.c_out, taps(d) * d.c_in);
  });
}

template <class T>
void gradient(Exec& exec, const NormedConv2dGradCallT<T>& call) {
  constexpr const char* kRow = "normed_conv2d_grad/any/cuda";
  const Conv2dDims& d = call.dims;
  if (!note(exec, kRow, d, normed_conv2d_grad_cost(d, call.gx, call.gw))) return;
  Gpu& gpu = *exec.gpu();
  const i64 rows = d.n * call.out_h * call.out_w, inputs = d.n * d.h * d.w;
  const GradSide<T, SlopedGradT<T>> gy{
      {}, call.gy, rows, d.c_out, all_wide<T>(d.c_out, {call.gy.dz, call.gy.y})};
  with_math<T>(exec, [&](auto math) {
    using Math = decltype(math);
    if (call.gw) {
      const Aside aside(gpu);
      if (is_pointwise(d))
        launch_split<SplitTile<Math>>(gpu, kRow, gy, rows_side(call.x, rows, d.c_in, d.c_in), call.gw,
                                      d.c_out, d.c_in, rows);
      else
        launch_split<SplitTile<Math>>(gpu, kRow, gy, input_side(d, call.out_h, call.out_w, call.x), call.gw,
                                      d.c_out, taps(d) * d.c_in, rows);
    }
    if (!call.gx) return;
    const auto w = weight_side<true>(call.w, d.c_out, d.c_in, d.kernel);
    const auto store = store_epilogue<T>(call.gx, d.c_in, d.c_in, nullptr, nullptr, Act::none);
    if (is_pointwise(d))
      product_by_rows<Math, false>(gpu, kRow, gy, w, store, inputs, d.c_in, d.c_out);
    else
      product_by_rows<Math, false>(gpu, kRow, output_side(d, call.out_h, call.out_w, call.gy), w, store,
                                   inputs, d.c_in, taps(d) * d.c_out);
  });
}

}  // namespace

void normed_conv2d(Exec& exec, const NormedConv2dCallT<float>& call) { forward(exec, call); }
void normed_conv2d(Exec& exec, const NormedConv2dCallT<Bf16>& call) { forward(exec, call); }
void normed_conv2d_grad(Exec& exec, const NormedConv2dGradCallT<float>& call) { gradient(exec, call); }
void normed_conv2d_grad(Exec& exec, const NormedConv2dGradCallT<Bf16>& call) { gradient(exec, call); }

}  // namespace offramp::kernels::cuda
