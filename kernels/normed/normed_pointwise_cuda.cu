// Device rows of the pointwise convolutions between two normalisations.
#include "kernels/cuda/gemm_kernels.h"
#include "kernels/cuda/problem.h"
#include "kernels/normed/normed.h"

namespace offramp::kernels {
namespace cuda {
namespace {

template <class T>
NormedSide<T> side_of(const NormedT<T>& in, const NormedDims& d) {
  return {{},
          in,
          d.rows,
          d.c_in,
          Divisor(d.hw),
          wide_rows(in.x, d.c_in) && (!in.gate || wide_rows(in.gate, d.c_in))};
}
template <class T>
GradSide<T> side_of(const NormedGradT<T>& g, const NormedDims& d) {
  return {{}, g, d.rows, d.c_out, wide_rows(g.dz, d.c_out) && (!g.y || wide_rows(g.y, d.c_out))};
}

template <class T>
void forward(Exec& exec, const NormedPointwiseCallT<T>& call) {
  constexpr const char* kRow = "normed_pointwise/any/cuda";
  const NormedDims& d = call.dims;
  if (!note(exec, kRow, d, normed_pointwise_cost(d))) return;
  const auto w = rows_side(call.w, d.c_out, d.c_in, call.w_row);
  with_math<T>(exec, [&](auto math) {
    using Math = decltype(math);
    Gpu& gpu = *exec.gpu();
    if (call.out.gamma)
      product_by_rows<Math, true>(gpu, kRow, side_of(call.in, d), w,
                                  MomentsEpilogue<T>{call.y, d.c_out, call.out, wide_rows(call.y, d.c_out)},
                                  d.rows, d.c_out, d.c_in);
    else
      product_by_rows<Math, true>(gpu, kRow, side_of(call.in, d), w,
                                  store_epilogue<T>(call.y, d.c_out, d.c_out, call.bias, nullptr, call.act),
                                  d.rows, d.c_out, d.c_in);
  });
}

template <class T>
void gradient(Exec& exec, const NormedPointwiseGradCallT<T>& call) {
  constexpr const char* kRow = "normed_pointwise_grad/any/cuda";
  const NormedDims& d = call.dims;
  if (!note(exec, kRow, d, normed_pointwise_grad_cost(d))) return;
  Gpu& gpu = *exec.gpu();
  with_math<T>(exec, [&](auto math) {
    using Math = decltype(math);
    const auto gy = side_of(call.gy, d);
    // gw first: gx may lie where dz does.
    if (call.gw) {
      const Aside aside(gpu, call.gx != call.gy.dz);
      launch_split<SplitTile<Math>>(gpu, kRow, gy, side_of(call.in, d), call.gw, d.c_out, d.c_in, d.rows);
    }
    if (!call.gx) return;
    const auto w = rows_side(call.w, d.c_out, d.c_in, call.w_row);
    if (call.in.mean && !call.in.gate)
      product_by_rows<Math, false>(
          gpu, kRow, gy, w,
          SlopeEpilogue<T>{call.in, call.gx, d.c_in, d.rows, call.out,
                           wide_rows(call.gx, d.c_in) && wide_rows(call.in.x, d.c_in)},
          d.rows, d.c_in, d.c_out);
    else
      product_by_rows<Math, false>(
          gpu, kRow, gy, w, store_epilogue<T>(call.gx, d.c_in, d.c_in, nullptr, call.residual, Act::none),
          d.rows, d.c_in, d.c_out);
  });
}

}  // namespace

void normed_pointwise(Exec& exec, const NormedPointwiseCall& call) { forward(exec, call); }
void normed_pointwise_grad(Exec& exec, const NormedPointwiseGradCall& call) { gradient(exec, call); }

}  // namespace cuda

void normed_pointwise(Exec& exec, const NormedPointwiseCallT<Bf16>& call) { cuda::forward(exec, call); }
void normed_pointwise_grad(Exec& exec, const NormedPointwiseGradCallT<Bf16>& call) {
  cuda::gradient(exec, call);
}

}  // namespace offramp::kernels
