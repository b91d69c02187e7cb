// Device rows of resizing: a thread takes eight channels of one pixel. The gradient gathers: a pixel of x
// asks the output pixels whose taps may reach it. What an axis' positions read, worked out in double, is the
// same for all pixels: a block brings it to shared memory first.
#include "kernels/cuda/divide.h"
#include "kernels/cuda/problem.h"
#include "kernels/cuda/row_pass.h"
#include "kernels/resize/resize_ref.h"

namespace offramp::kernels {
namespace cuda {
namespace {

// The taps of every output position of an axis.
struct TapTable {
  static constexpr int kMost = 4;
  ResizeKind kind;
  int in, out;
  struct Position {
    int index[kMost];
    float weight[kMost];
  };
  __host__ __device__ int floats() const { return out * int(sizeof(Position) / sizeof(float)); }
  __device__ void prepare(float* to) const {
    for (int o = int(threadIdx.x); o < out; o += int(blockDim.x)) {
      const ResizeTaps taps = resize_taps_at(kind, in, out, o);
      Position& p = reinterpret_cast<Position*>(to)[o];
#pragma unroll
      for (int i = 0; i < kMost; ++i) p.index[i] = int(taps.index[i]), p.weight[i] = float(taps.weight[i]);
    }
  }
  __device__ __forceinline__ static const Position& at(const float* table, int position) {
    return reinterpret_cast<const Position*>(table)[position];
  }
};

// The outputs whose taps may lie on an input position, and their weights there.
struct ReachTable {
  ResizeKind kind;
  int in, out;
  // As many for every position: of a cubic's four taps, two lie on either side.
  __host__ __device__ int reach() const { return 5 * out / in + 5; }
  __host__ __device__ int floats() const { return in * (reach() + 1); }
  // Per position: the first output, then the weights, zeros at the end.
  __device__ void prepare(float* to) const {
    const int row = reach() + 1;
    for (int i = int(threadIdx.x); i < in * row; i += int(blockDim.x)) {
      const int at = i / row, j = i % row - 1, begin = begin_of(at);
      to[i] = j < 0 ? __uint_as_float(u32(begin)) : begin + j < out ? weight(begin + j, at) : 0.0f;
    }
  }
  struct Position {
    int begin;
    const float* weight;
  };
  __device__ __forceinline__ Position at(const float* table, int position) const {
    const float* const row = table + position * (reach() + 1);
    return {int(__float_as_uint(row[0])), row + 1};
  }

 private:
  __device__ int begin_of(int at) const {
    const int begin = int(floor((double(at) - 2.0) * double(out) / double(in))) - 1;
    return begin < 0 ? 0 : begin;
  }
  __device__ float weight(int o, int at) const {
    const ResizeTaps taps = resize_taps_at(kind, in, out, o);
    double sum = 0;
    for (int i = 0; i < int(resize_taps(kind)); ++i)
      if (taps.index[i] == at) sum += taps.weight[i];
    return float(sum);
  }
};

template <class Table>
struct Tables : Gathers {
  Table ys, xs;
  __host__ i64 room() const { return 4 * i64(ys.floats() + xs.floats()); }
  __device__ void prepare() const {
    ys.prepare(of_ys());
    xs.prepare(of_xs());
  }
  __device__ __forceinline__ static float* of_ys() { return dynamic_shared<float>(); }
  __device__ __forceinline__ float* of_xs() const { return of_ys() + ys.floats(); }
};
template <class Table>
Tables<Table> tables_of(const ResizeDims& d) {
  return {{}, {d.kind, int(d.h), int(d.out_h)}, {d.kind, int(d.w), int(d.out_w)}};
}

template <class T>
struct ForwardPass : Tables<TapTable> {
  ResizeCallT<T> call;
  Divisor out_w, out_h;
  bool wide;
  __device__ __forceinline__ void apply(State&, const Column&, const Raw&, i64 row, i64 c, int count) const {
    const ResizeDims& d = call.dims;
    int n = int(row);
    const TapTable::Position& x = TapTable::at(of_xs(), out_w.split(n));
    const TapTable::Position& y = TapTable::at(of_ys(), out_h.split(n));
    const int taps = int(resize_taps(d.kind));
    Floats<kLanes> sum = zeros();
    for (int s = 0; s < taps; ++s) {
      Floats<kLanes> column = zeros();
      for (int r = 0; r < taps; ++r) {
        const Floats<kLanes> v =
            load_some(call.x + ((n * d.h + y.index[r]) * d.w + x.index[s]) * d.c + c, wide, count);
#pragma unroll
        for (int i = 0; i < kLanes; ++i) column.v[i] = fmaf(y.weight[r], v.v[i], column.v[i]);
      }
#pragma unroll
      for (int i = 0; i < kLanes; ++i) sum.v[i] = fmaf(x.weight[s], column.v[i], sum.v[i]);
    }
    store_some(call.y + row * d.c + c, sum, wide, count);
  }
};

template <class T>
struct GradPass : Tables<ReachTable> {
  ResizeGradCallT<T> call;
  Divisor w, h;
  bool wide;
  __device__ __forceinline__ void apply(State&, const Column&, const Raw&, i64 row, i64 c, int count) const {
    const ResizeDims& d = call.dims;
    int n = int(row);
    const ReachTable::Position x = xs.at(of_xs(), w.split(n)), y = ys.at(of_ys(), h.split(n));
    Floats<kLanes> sum = zeros();
    for (int j = 0; j < ys.reach(); ++j) {
      if (y.weight[j] == 0) continue;
      for (int i = 0; i < xs.reach(); ++i) {
        const float weight = y.weight[j] * x.weight[i];
        if (weight == 0) continue;
        const Floats<kLanes> g =
            load_some(call.gy + ((n * d.out_h + y.begin + j) * d.out_w + x.begin + i) * d.c + c, wide, count);
#pragma unroll
        for (int l = 0; l < kLanes; ++l) sum.v[l] = fmaf(weight, g.v[l], sum.v[l]);
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
                   ForwardPass<T>{tables_of<TapTable>(d), call, Divisor(d.out_w), Divisor(d.out_h),
                                  wide_rows(call.x, d.c) && wide_rows(call.y, d.c)},
                   d.n * d.out_h * d.out_w, d.c);
}
template <class T>
void run(Exec& exec, const ResizeGradCallT<T>& call) {
  constexpr const char* kRow = "resize_grad/any/cuda";
  const ResizeDims& d = call.dims;
  if (note(exec, kRow, d, resize_grad_cost(d)))
    pass_over_rows(*exec.gpu(), kRow,
                   GradPass<T>{tables_of<ReachTable>(d), call, Divisor(d.w), Divisor(d.h),
                               wide_rows(call.gy, d.c) && wide_rows(call.gx, d.c)},
                   d.n * d.h * d.w, d.c);
}

}  // namespace

void resize(Exec& exec, const ResizeCall& call) { run(exec, call); }
void resize_grad(Exec& exec, const ResizeGradCall& call) { run(exec, call); }

}  // namespace cuda

void resize(Exec& exec, const ResizeCallT<Bf16>& call) { cuda::run(exec, call); }
void resize_grad(Exec& exec, const ResizeGradCallT<Bf16>& call) { cuda::run(exec, call); }

}  // namespace offramp::kernels
