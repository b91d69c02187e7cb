// Device rows of conv2d: products of matrices whose rows are pixels seen through the window
// (kernels/cuda/gemm_tile.h); grouped convolutions by a general row, a thread for each result.
#include <array>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_rows.h"
#include "kernels/cuda/gemm_kernels.h"
#include "kernels/cuda/problem.h"
#include "kernels/cuda/window_sides.h"

namespace offramp::kernels {
namespace cuda {
namespace {

constexpr int kBlock = 128;

bool is_dense(const Conv2dDims& d) { return d.groups == 1; }

template <class T>
__global__ void grouped(Conv2dCallT<T> call) {
  const Conv2dDims& d = call.dims;
  const i64 i = i64(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= d.n * call.out_h * call.out_w * d.c_out) return;
  const i64 co = i % d.c_out, ox = i / d.c_out % call.out_w, oy = i / (d.c_out * call.out_w) % call.out_h,
            n = i / (d.c_out * call.out_w * call.out_h);
  const i64 per = d.c_in / d.groups, first = co / (d.c_out / d.groups) * per;
  float sum = 0;
  for (i64 ky = 0; ky < d.kernel; ++ky)
    for (i64 kx = 0; kx < d.kernel; ++kx) {
      const i64 y = oy * d.stride - d.pad + ky, x = ox * d.stride - d.pad + kx;
      if (y < 0 || y >= d.h || x < 0 || x >= d.w) continue;
      const T* const in = call.x + ((n * d.h + y) * d.w + x) * d.c_in + first;
      const float* const w =
          call.w.data + co * call.w.to_next_out + ky * call.w.to_next_row + kx * call.w.to_next_tap;
      for (i64 c = 0; c < per; ++c) sum = fmaf(to_float(in[c]), w[c], sum);
    }
  if (call.bias) sum += call.bias[co];
  if (call.residual) sum += to_float(call.residual[i]);
  call.y[i] = T(apply_act(call.act, sum));
}

template <class T>
__global__ void grouped_input_grad(Conv2dGradCallT<T> call) {
  const Conv2dDims& d = call.dims;
  const i64 i = i64(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= d.n * d.h * d.w * d.c_in) return;
  const i64 ci = i % d.c_in, x = i / d.c_in % d.w, y = i / (d.c_in * d.w) % d.h, n = i / (d.c_in * d.w * d.h);
  const i64 per = d.c_in / d.groups, outs = d.c_out / d.groups, group = ci / per;
  float sum = 0;
  for (i64 ky = 0; ky < d.kernel; ++ky)
    for (i64 kx = 0; kx < d.kernel; ++kx) {
      const i64 ty = y + d.pad - ky, tx = x + d.pad - kx;
      if (ty < 0 || tx < 0 || ty % d.stride || tx % d.stride) continue;
      const i64 oy = ty / d.stride, ox = tx / d.stride;
      if (oy >= call.out_h || ox >= call.out_w) continue;
      const T* const gy = call.gy + ((n * call.out_h + oy) * call.out_w + ox) * d.c_out + group * outs;
      const float* const w = call.w.data + group * outs * call.w.to_next_out + ky * call.w.to_next_row +
                             kx * call.w.to_next_tap + ci - group * per;
      for (i64 c = 0; c < outs; ++c) sum = fmaf(to_float(gy[c]), w[c * call.w.to_next_out], sum);
    }
  call.gx[i] = T(sum);
}

// A block for each weight; its threads' sums over pixels are folded in a fixed order.
template <class T>
__global__ void grouped_weight_grad(Conv2dGradCallT<T> call) {
  __shared__ float sums[kBlock];
  const Conv2dDims& d = call.dims;
  const i64 i = blockIdx.x, per = d.c_in / d.groups;
  const i64 ci = i % per, kx = i / per % d.kernel, ky = i / (per * d.kernel) % d.kernel,
            co = i / (per * d.kernel * d.kernel);
  const i64 channel = co / (d.c_out / d.groups) * per + ci;
  float sum = 0;
  for (i64 p = threadIdx.x; p < d.n * call.out_h * call.out_w; p += kBlock) {
    const i64 ox = p % call.out_w, oy = p / call.out_w % call.out_h, n = p / (call.out_w * call.out_h);
    const i64 y = oy * d.stride - d.pad + ky, x = ox * d.stride - d.pad + kx;
    if (y < 0 || y >= d.h || x < 0 || x >= d.w) continue;
    sum = fmaf(to_float(call.x[((n * d.h + y) * d.w + x) * d.c_in + channel]),
               to_float(call.gy[p * d.c_out + co]), sum);
  }
  sums[threadIdx.x] = sum;
  __syncthreads();
  for (int half = kBlock / 2; half > 0; half /= 2) {
    if (int(threadIdx.x) < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) call.gw[i] = sums[0];
}

constexpr const char* kPlain = "conv2d/1x1/cuda";
constexpr const char* kWindow = "conv2d/window/cuda";
constexpr const char* kGrouped = "conv2d/grouped/cuda";

template <class T>
auto store_of(const Conv2dCallT<T>& call) {
  const i64 c = call.dims.c_out;
  return store_epilogue<T>(call.y, c, c, call.bias, call.residual, call.act);
}

template <class T>
void forward_plain(Exec& exec, const Conv2dCallT<T>& call) {
  const Conv2dDims& d = call.dims;
  const i64 rows = d.n * d.h * d.w;
  with_math<T>(exec, [&](auto math) {
    product_by_rows<decltype(math), true>(*exec.gpu(), kPlain, rows_side(call.x, rows, d.c_in, d.c_in),
                                          weight_side<false>(call.w, d.c_out, d.c_in, d.kernel),
                                          store_of(call), rows, d.c_out, d.c_in);
  });
}

template <class T>
void forward_window(Exec& exec, const Conv2dCallT<T>& call) {
  const Conv2dDims& d = call.dims;
  with_math<T>(exec, [&](auto math) {
    product_by_rows<decltype(math), true>(*exec.gpu(), kWindow, input_side(d, call.out_h, call.out_w, call.x),
                                          weight_side<false>(call.w, d.c_out, d.c_in, d.kernel),
                                          store_of(call), d.n * call.out_h * call.out_w, d.c_out,
                                          taps(d) * d.c_in);
  });
}

template <class T>
void forward_grouped(Exec& exec, const Conv2dCallT<T>& call) {
  const i64 values = call.dims.n * call.out_h * call.out_w * call.dims.c_out;
  launch(*exec.gpu(), {.op = kGrouped, .grid = ceil_div(values, kBlock), .block = kBlock}, grouped<T>, call);
}

bool any(const Conv2dDims&) { return true; }

template <class T>
constexpr auto kRows = std::to_array<Conv2dRow<T>>({
#if defined(OFFRAMP_HAS_CUDNN)
    {"conv2d/cudnn/cuda", false, is_dense, conv2d_cudnn<T>},
#endif
    {kPlain, true, is_pointwise, forward_plain<T>},
    {kWindow, true, is_dense, forward_window<T>},
    {kGrouped, true, any, forward_grouped<T>},
});

template <class T>
void forward(Exec& exec, const Conv2dCallT<T>& call) {
  for (const Conv2dRow<T>& row : kRows<T>) {
    if (!row.selectable || !row.accepts(call.dims)) continue;
    if (note(exec, row.name, call.dims, conv2d_cost(call.dims))) row.run(exec, call);
    return;
  }
}

template <class T>
void gradient(Exec& exec, const Conv2dGradCallT<T>& call) {
  const Conv2dDims& d = call.dims;
  const char* const row = !is_dense(d)      ? "conv2d_grad/grouped/cuda"
                          : is_pointwise(d) ? "conv2d_grad/1x1/cuda"
                                            : "conv2d_grad/window/cuda";
  Cost cost = conv2d_cost(d);
  if (call.gx && call.gw) cost += conv2d_cost(d);
  if (!note(exec, row, d, cost)) return;
  Gpu& gpu = *exec.gpu();
  const i64 rows = d.n * call.out_h * call.out_w, inputs = d.n * d.h * d.w;
  if (!is_dense(d)) {
    if (call.gx)
      launch(gpu, {.op = row, .grid = ceil_div(inputs * d.c_in, kBlock), .block = kBlock},
             grouped_input_grad<T>, call);
    if (call.gw)
      launch(gpu, {.op = row, .grid = d.c_out * taps(d) * (d.c_in / d.groups), .block = kBlock},
             grouped_weight_grad<T>, call);
    return;
  }
  const auto gy = rows_side(call.gy, rows, d.c_out, d.c_out);
  with_math<T>(exec, [&](auto math) {
    using Math = decltype(math);
    if (call.gw) {
      const Aside aside(gpu, call.gx != call.gy);
      if (is_pointwise(d))
        launch_split<SplitTile<Math>>(gpu, row, gy, rows_side(call.x, rows, d.c_in, d.c_in), call.gw, d.c_out,
                                      d.c_in, rows);
      else
        launch_split<SplitTile<Math>>(gpu, row, gy, input_side(d, call.out_h, call.out_w, call.x), call.gw,
                                      d.c_out, taps(d) * d.c_in, rows);
    }
    if (!call.gx) return;
    const auto w = weight_side<true>(call.w, d.c_out, d.c_in, d.kernel);
    const auto store = store_epilogue<T>(call.gx, d.c_in, d.c_in, nullptr, nullptr, Act::none);
    if (is_pointwise(d))
      product_by_rows<Math, false>(gpu, row, gy, w, store, inputs, d.c_in, d.c_out);
    else
      product_by_rows<Math, false>(gpu, row, output_side(d, call.out_h, call.out_w, call.gy), w, store,
                                   inputs, d.c_in, taps(d) * d.c_out);
  });
}

}  // namespace

template <class T>
std::span<const Conv2dRow<T>> conv2d_rows() {
  return kRows<T>;
}
template std::span<const Conv2dRow<float>> conv2d_rows();
template std::span<const Conv2dRow<Bf16>> conv2d_rows();

void conv2d(Exec& exec, const Conv2dCall& call) { forward(exec, call); }
void conv2d_grad(Exec& exec, const Conv2dGradCall& call) { gradient(exec, call); }

}  // namespace cuda

void conv2d(Exec& exec, const Conv2dCallT<Bf16>& call) { cuda::forward(exec, call); }
void conv2d_grad(Exec& exec, const Conv2dGradCallT<Bf16>& call) { cuda::gradient(exec, call); }

}  // namespace offramp::kernels
