// Device rows of resizing: a thread takes eight channels of one pixel. The gradient gathers: a pixel of x
// asks the output pixels whose taps may reach it.
#include "kernels/cuda/problem.h"
#include "kernels/cuda/row_pass.h"
#include "kernels/resize/resize_ref.h"

namespace offramp::kernels {
namespace cuda {
namespace {

template <class T>
struct ForwardPass : Gathers {
  ResizeCallT<T> call;
  bool wide;
  __device__ __forceinline__ void apply(State&, const Column&, const Raw&, i64 row, i64 c, int count) const {
    const ResizeDims& d = call.dims;
    const u32 area = u32(d.out_h * d.out_w), n = u32(row) / area, in_map = u32(row) - n * area;
    const ResizeTaps ys = resize_taps_at(d.kind, d.h, d.out_h, in_map / u32(d.out_w));
    const ResizeTaps xs = resize_taps_at(d.kind, d.w, d.out_w, in_map % u32(d.out_w));
    const int taps = int(resize_taps(d.kind));
    Floats<kLanes> sum = zeros();
    for (int s = 0; s < taps; ++s) {
      Floats<kLanes> column = zeros();
      for (int r = 0; r < taps; ++r) {
        const Floats<kLanes> v =
            load_some(call.x + ((n * d.h + ys.index[r]) * d.w + xs.index[s]) * d.c + c, wide, count);
#pragma unroll
        for (int i = 0; i < kLanes; ++i) column.v[i] = fmaf(float(ys.weight[r]), v.v[i], column.v[i]);
      }
#pragma unroll
      for (int i = 0; i < kLanes; ++i) sum.v[i] = fmaf(float(xs.weight[s]), column.v[i], sum.v[i]);
    }
    store_some(call.y + row * d.c + c, sum, wide, count);
  }
};

// Output positions of an axis whose taps may lie on `at`.
struct Reach {
  i64 begin, end;
};
__device__ __forceinline__ Reach reach_of(i64 at, i64 in, i64 out) {
  const double step = double(out) / double(in);
  const i64 begin = i64(floor((double(at) - 2.0) * step)) - 1, end = i64(ceil((double(at) + 3.0) * step)) + 1;
  return {begin < 0 ? 0 : begin, end > out ? out : end};
}
// Weight of output position `o` on input `at`.
__device__ __forceinline__ float weight_on(ResizeKind kind, i64 in, i64 out, i64 o, i64 at) {
  const ResizeTaps taps = resize_taps_at(kind, in, out, o);
  double sum = 0;
  for (int i = 0; i < int(resize_taps(kind)); ++i)
    if (taps.index[i] == at) sum += taps.weight[i];
  return float(sum);
}

template <class T>
struct GradPass : Gathers {
  ResizeGradCallT<T> call;
  bool wide;
  __device__ __forceinline__ void apply(State&, const Column&, const Raw&, i64 row, i64 c, int count) const {
    const ResizeDims& d = call.dims;
    const u32 area = u32(d.h * d.w), n = u32(row) / area, in_map = u32(row) - n * area;
    const i64 y = in_map / u32(d.w), x = in_map % u32(d.w);
    const Reach ys = reach_of(y, d.h, d.out_h), xs = reach_of(x, d.w, d.out_w);
    Floats<kLanes> sum = zeros();
    for (i64 oy = ys.begin; oy < ys.end; ++oy) {
      const float wy = weight_on(d.kind, d.h, d.out_h, oy, y);
      if (wy == 0) continue;
      for (i64 ox = xs.begin; ox < xs.end; ++ox) {
        const float w = wy * weight_on(d.kind, d.w, d.out_w, ox, x);
        if (w == 0) continue;
        const Floats<kLanes> g =
            load_some(call.gy + ((n * d.out_h + oy) * d.out_w + ox) * d.c + c, wide, count);
#pragma unroll
        for (int i = 0; i < kLanes; ++i) sum.v[i] = fmaf(w, g.v[i], sum.v[i]);
      }
    }
    store_some(call.gx + row * d.c + c, sum, wide, count);
  }
};

template <class T>
void run(Exec& exec, const ResizeCallT<T>& call) {
  constexpr const char* kRow = "resize/any/cuda";
  const ResizeDims& d = call.dims;
  if (note(exec, kRow, d, resize_cost(d)))
    pass_over_rows(*exec.gpu(), kRow,
                   ForwardPass<T>{{}, call, wide_rows(call.x, d.c) && wide_rows(call.y, d.c)},
                   d.n * d.out_h * d.out_w, d.c);
}
template <class T>
void run(Exec& exec, const ResizeGradCallT<T>& call) {
  constexpr const char* kRow = "resize_grad/any/cuda";
  const ResizeDims& d = call.dims;
  if (note(exec, kRow, d, resize_grad_cost(d)))
    pass_over_rows(*exec.gpu(), kRow,
                   GradPass<T>{{}, call, wide_rows(call.gy, d.c) && wide_rows(call.gx, d.c)}, d.n * d.h * d.w,
                   d.c);
}

}  // namespace

void resize(Exec& exec, const ResizeCall& call) { run(exec, call); }
void resize_grad(Exec& exec, const ResizeGradCall& call) { run(exec, call); }

}  // namespace cuda

void resize(Exec& exec, const ResizeCallT<Bf16>& call) { cuda::run(exec, call); }
void resize_grad(Exec& exec, const ResizeGradCallT<Bf16>& call) { cuda::run(exec, call); }

}  // namespace offramp::kernels
