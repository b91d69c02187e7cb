// Device rows of add and mul.
#include "kernels/binary/binary.h"
#include "kernels/cuda/row_pass.h"
#include "kernels/recorder.h"

namespace offramp::kernels {
namespace cuda {
namespace {

// Where z's row for this row of x begins.
__device__ __forceinline__ i64 z_row(const BinaryDims& d, i64 row) {
  return d.broadcast ? i64(u32(row) / u32(d.hw)) : row;
}

template <class T>
struct ForwardPass : NoSums {
  using Column = NoColumn;
  BinaryCallT<T> call;
  bool wide;
  __device__ Column column(i64, int) const { return {}; }
  __device__ __forceinline__ void apply(State&, const Column&, i64 row, i64 c, int count) const {
    const BinaryDims& d = call.dims;
    Floats<kLanes> x = load_some(call.x + row * d.c + c, wide, count);
    const Floats<kLanes> z = load_some(call.z + z_row(d, row) * d.c + c, wide, count);
#pragma unroll
    for (int i = 0; i < kLanes; ++i) x.v[i] = d.kind == BinaryKind::add ? x.v[i] + z.v[i] : x.v[i] * z.v[i];
    store_some(call.y + row * d.c + c, x, wide, count);
  }
};

// gx and, where z has x's shape, gz.
template <class T>
struct GradPass : NoSums {
  using Column = NoColumn;
  BinaryGradCallT<T> call;
  bool wide;
  __device__ Column column(i64, int) const { return {}; }
  __device__ __forceinline__ void apply(State&, const Column&, i64 row, i64 c, int count) const {
    const BinaryDims& d = call.dims;
    const i64 at = row * d.c + c;
    const bool mul = d.kind == BinaryKind::mul;
    const Floats<kLanes> gy = load_some(call.gy + at, wide, count);
    Floats<kLanes> to_x = gy, to_z = gy;
    if (mul && call.gx) {
      const Floats<kLanes> z = load_some(call.z + z_row(d, row) * d.c + c, wide, count);
#pragma unroll
      for (int i = 0; i < kLanes; ++i) to_x.v[i] *= z.v[i];
    }
    if (call.gz && !d.broadcast) {
      if (mul) {
        const Floats<kLanes> x = load_some(call.x + at, wide, count);
#pragma unroll
        for (int i = 0; i < kLanes; ++i) to_z.v[i] *= x.v[i];
      }
      store_some(call.gz + at, to_z, wide, count);
    }
    if (call.gx) store_some(call.gx + at, to_x, wide, count);
  }
};

// Of a broadcast z, summed over a sample's pixels.
template <class T>
struct BroadcastGrad {
  using Column = NoColumn;
  BinaryGradCallT<T> call;
  bool wide;
  __device__ Column column(i64, int) const { return {}; }
  __device__ __forceinline__ Floats<kLanes> value(const Column&, i64 row, i64 c, int count) const {
    const i64 at = row * call.dims.c + c;
    Floats<kLanes> g = load_some(call.gy + at, wide, count);
    if (call.dims.kind == BinaryKind::mul) {
      const Floats<kLanes> x = load_some(call.x + at, wide, count);
#pragma unroll
      for (int i = 0; i < kLanes; ++i) g.v[i] *= x.v[i];
    }
    return g;
  }
};

template <class T>
void run(Exec& exec, const BinaryCallT<T>& call) {
  constexpr const char* kRow = "binary/any/cuda";
  const BinaryDims& d = call.dims;
  if (!note(exec, kRow, binary_cost(d))) return;
  const bool wide = wide_rows(call.x, d.c) && wide_rows(call.z, d.c) && wide_rows(call.y, d.c);
  pass_over_rows(*exec.gpu(), kRow, ForwardPass<T>{{}, call, wide}, d.n * d.hw, d.c);
}

template <class T>
void run_grad(Exec& exec, const BinaryGradCallT<T>& call) {
  constexpr const char* kRow = "binary_grad/any/cuda";
  const BinaryDims& d = call.dims;
  if (!note(exec, kRow, binary_grad_cost(d))) return;
  const bool wide = all_wide<T>(d.c, {call.x, call.z, call.gy, call.gx, call.gz});
  // gz first: gx may lie where x or gy does.
  if (call.gz && d.broadcast)
    fold_samples(*exec.gpu(), kRow, BroadcastGrad<T>{call, wide}, d.n, d.hw, d.c, 1.0f, call.gz);
  if (call.gx || (call.gz && !d.broadcast))
    pass_over_rows(*exec.gpu(), kRow, GradPass<T>{{}, call, wide}, d.n * d.hw, d.c);
}

}  // namespace

void binary(Exec& exec, const BinaryCall& call) { run(exec, call); }
void binary_grad(Exec& exec, const BinaryGradCall& call) { run_grad(exec, call); }

}  // namespace cuda

void binary(Exec& exec, const BinaryCallT<Bf16>& call) { cuda::run(exec, call); }
void binary_grad(Exec& exec, const BinaryGradCallT<Bf16>& call) { cuda::run_grad(exec, call); }

}  // namespace offramp::kernels
