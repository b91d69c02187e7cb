// Device rows of pooling: a thread takes eight channels of one pixel. Gradients gather: a pixel of x asks
// every window that holds it.
#include "kernels/cuda/problem.h"
#include "kernels/cuda/row_pass.h"
#include "kernels/pool/pool.h"

namespace offramp::kernels {
namespace cuda {
namespace {

struct Pixel {
  i64 n;
  int y, x;
};
__device__ __forceinline__ Pixel pixel_of(i64 row, i64 h, i64 w) {
  const u32 area = u32(h * w), n = u32(row) / area, in_map = u32(row) - n * area;
  return {n, int(in_map / u32(w)), int(in_map % u32(w))};
}

// What a window holds: its maximum and where, or its sum and how many.
struct Window {
  Floats<kLanes> value;
  int winner[kLanes];  // index of the tap
  int count;
};
template <class T>
__device__ __forceinline__ Window window_at(const PoolDims& d, const T* x, i64 n, int y0, int x0, i64 c,
                                            bool wide, int lanes) {
  Window out;
  out.count = 0;
#pragma unroll
  for (int i = 0; i < kLanes; ++i)
    out.value.v[i] = d.kind == PoolKind::max ? -INFINITY : 0.0f, out.winner[i] = -1;
  for (int ky = 0; ky < d.kernel; ++ky)
    for (int kx = 0; kx < d.kernel; ++kx) {
      const int yy = y0 + ky, xx = x0 + kx;
      if (yy < 0 || yy >= d.h || xx < 0 || xx >= d.w) continue;
      ++out.count;
      if (!x) continue;
      const Floats<kLanes> v = load_some(x + ((n * d.h + yy) * d.w + xx) * d.c + c, wide, lanes);
#pragma unroll
      for (int i = 0; i < kLanes; ++i) {
        if (d.kind == PoolKind::avg) {
          out.value.v[i] += v.v[i];
        } else if (v.v[i] > out.value.v[i] || out.winner[i] < 0) {
          out.value.v[i] = v.v[i];
          out.winner[i] = ky * int(d.kernel) + kx;
        }
      }
    }
  return out;
}

template <class T>
struct ForwardPass : Gathers {
  PoolCallT<T> call;
  bool wide;
  __device__ __forceinline__ void apply(State&, const Column&, const Raw&, i64 row, i64 c, int count) const {
    const PoolDims& d = call.dims;
    const Pixel p = pixel_of(row, call.out_h, call.out_w);
    Window w = window_at(d, call.x, p.n, p.y * int(d.stride) - int(d.pad), p.x * int(d.stride) - int(d.pad),
                         c, wide, count);
    if (d.kind == PoolKind::avg) {
#pragma unroll
      for (int i = 0; i < kLanes; ++i) w.value.v[i] /= float(w.count);
    }
    store_some(call.y + row * d.c + c, w.value, wide, count);
  }
};

template <class T>
struct GradPass : Gathers {
  PoolGradCallT<T> call;
  bool wide;
  __device__ __forceinline__ void apply(State&, const Column&, const Raw&, i64 row, i64 c, int count) const {
    const PoolDims& d = call.dims;
    const Pixel p = pixel_of(row, d.h, d.w);
    Floats<kLanes> sum = zeros();
    for (int ky = 0; ky < d.kernel; ++ky)
      for (int kx = 0; kx < d.kernel; ++kx) {
        const int ty = p.y + int(d.pad) - ky, tx = p.x + int(d.pad) - kx;
        if (ty < 0 || tx < 0 || ty % d.stride || tx % d.stride) continue;
        const int oy = ty / int(d.stride), ox = tx / int(d.stride);
        if (oy >= call.out_h || ox >= call.out_w) continue;
        const Floats<kLanes> g =
            load_some(call.gy + ((p.n * call.out_h + oy) * call.out_w + ox) * d.c + c, wide, count);
        const bool max = d.kind == PoolKind::max;
        const Window w =
            window_at(d, max ? call.x : static_cast<const T*>(nullptr), p.n, oy * int(d.stride) - int(d.pad),
                      ox * int(d.stride) - int(d.pad), c, wide, count);
#pragma unroll
        for (int i = 0; i < kLanes; ++i) {
          if (!max)
            sum.v[i] += g.v[i] / float(w.count);
          else if (w.winner[i] == ky * int(d.kernel) + kx)
            sum.v[i] += g.v[i];
        }
      }
    store_some(call.gx + row * d.c + c, sum, wide, count);
  }
};

template <class T>
struct Values {
  using Column = Nothing;
  const T* x;
  i64 channels;
  bool wide;
  __device__ Column column(i64, int) const { return {}; }
  using Raw = Eight<T>;
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, int count) const {
    return cuda::fetch(x + row * channels + c, wide, count);
  }
  __device__ __forceinline__ Floats<kLanes> value(const Column&, const Raw& raw) const { return values(raw); }
};

template <class T>
struct SpreadPass : NoSums {
  using Column = Nothing;
  GlobalAvgPoolGradCallT<T> call;
  bool wide;
  __device__ Column column(i64, int) const { return {}; }
  using Raw = Eight<T>;
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, int count) const {
    return cuda::fetch(call.gy + i64(u32(row) / u32(call.dims.hw)) * call.dims.c + c, wide, count);
  }
  __device__ __forceinline__ void apply(State&, const Column&, const Raw& raw, i64 row, i64 c,
                                        int count) const {
    const GlobalPoolDims& d = call.dims;
    Floats<kLanes> g = values(raw);
#pragma unroll
    for (int i = 0; i < kLanes; ++i) g.v[i] /= float(d.hw);
    store_some(call.gx + row * d.c + c, g, wide, count);
  }
};

template <class T>
void run(Exec& exec, const PoolCallT<T>& call) {
  constexpr const char* kRow = "pool/any/cuda";
  const PoolDims& d = call.dims;
  if (note(exec, kRow, d, pool_cost(d)))
    pass_over_rows(*exec.gpu(), kRow,
                   ForwardPass<T>{{}, call, wide_rows(call.x, d.c) && wide_rows(call.y, d.c)},
                   d.n * call.out_h * call.out_w, d.c);
}
template <class T>
void run(Exec& exec, const PoolGradCallT<T>& call) {
  constexpr const char* kRow = "pool_grad/any/cuda";
  const PoolDims& d = call.dims;
  const bool wide = (d.kind == PoolKind::avg || wide_rows(call.x, d.c)) && wide_rows(call.gy, d.c) &&
                    wide_rows(call.gx, d.c);
  if (note(exec, kRow, d, pool_grad_cost(d)))
    pass_over_rows(*exec.gpu(), kRow, GradPass<T>{{}, call, wide}, d.n * d.h * d.w, d.c);
}
template <class T>
void run(Exec& exec, const GlobalAvgPoolCallT<T>& call) {
  constexpr const char* kRow = "global_avg_pool/any/cuda";
  const GlobalPoolDims& d = call.dims;
  if (note(exec, kRow, d, global_avg_pool_cost(d)))
    fold_samples(*exec.gpu(), kRow, Values<T>{call.x, d.c, wide_rows(call.x, d.c)}, d.n, d.hw, d.c,
                 Times{1.0f / float(d.hw)}, call.y);
}
template <class T>
void run(Exec& exec, const GlobalAvgPoolGradCallT<T>& call) {
  constexpr const char* kRow = "global_avg_pool_grad/any/cuda";
  const GlobalPoolDims& d = call.dims;
  if (note(exec, kRow, d, global_avg_pool_grad_cost(d)))
    pass_over_rows(*exec.gpu(), kRow,
                   SpreadPass<T>{{}, call, wide_rows(call.gy, d.c) && wide_rows(call.gx, d.c)}, d.n * d.hw,
                   d.c);
}

}  // namespace

void pool(Exec& exec, const PoolCall& call) { run(exec, call); }
void pool_grad(Exec& exec, const PoolGradCall& call) { run(exec, call); }
void global_avg_pool(Exec& exec, const GlobalAvgPoolCall& call) { run(exec, call); }
void global_avg_pool_grad(Exec& exec, const GlobalAvgPoolGradCall& call) { run(exec, call); }

}  // namespace cuda

void pool(Exec& exec, const PoolCallT<Bf16>& call) { cuda::run(exec, call); }
void pool_grad(Exec& exec, const PoolGradCallT<Bf16>& call) { cuda::run(exec, call); }
void global_avg_pool(Exec& exec, const GlobalAvgPoolCallT<Bf16>& call) { cuda::run(exec, call); }
void global_avg_pool_grad(Exec& exec, const GlobalAvgPoolGradCallT<Bf16>& call) { cuda::run(exec, call); }

}  // namespace offramp::kernels
