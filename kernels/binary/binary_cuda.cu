// Device rows of add and mul.
#include "kernels/binary/binary.h"
#include "kernels/cuda/problem.h"
#include "kernels/cuda/row_pass.h"

namespace offramp::kernels {
namespace cuda {
namespace {

// Where z's row for this row of x begins.
__device__ __forceinline__ i64 z_row(const BinaryDims& d, i64 row) {
  return d.broadcast ? i64(u32(row) / u32(d.hw)) : row;
}

template <class T>
struct ForwardPass : NoSums {
  using Column = Nothing;
  BinaryCallT<T> call;
  bool wide;
  struct Raw {
    Eight<T> x, z;
  };
  __device__ Column column(i64, int) const { return {}; }
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, int count) const {
    const BinaryDims& d = call.dims;
    return {cuda::fetch(call.x + row * d.c + c, wide, count),
            cuda::fetch(call.z + z_row(d, row) * d.c + c, wide, count)};
  }
  __device__ __forceinline__ void apply(State&, const Column&, const Raw& raw, i64 row, i64 c,
                                        int count) const {
    const BinaryDims& d = call.dims;
    Floats<kLanes> x = values(raw.x);
    const Floats<kLanes> z = values(raw.z);
#pragma unroll
    for (int i = 0; i < kLanes; ++i) x.v[i] = d.kind == BinaryKind::add ? x.v[i] + z.v[i] : x.v[i] * z.v[i];
    store_some(call.y + row * d.c + c, x, wide, count);
  }
};

// gx and, where z has x's shape, gz.
template <class T>
struct GradPass : NoSums {
  using Column = Nothing;
  BinaryGradCallT<T> call;
  bool wide;
  struct Raw {
    Eight<T> gy, x, z;
  };
  __device__ bool mul() const { return call.dims.kind == BinaryKind::mul; }
  __device__ bool to_z() const { return call.gz && !call.dims.broadcast; }
  __device__ Column column(i64, int) const { return {}; }
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, int count) const {
    const BinaryDims& d = call.dims;
    const i64 at = row * d.c + c;
    Raw raw;
    raw.gy = cuda::fetch(call.gy + at, wide, count);
    if (mul() && call.gx) raw.z = cuda::fetch(call.z + z_row(d, row) * d.c + c, wide, count);
    if (mul() && to_z()) raw.x = cuda::fetch(call.x + at, wide, count);
    return raw;
  }
  __device__ __forceinline__ void apply(State&, const Column&, const Raw& raw, i64 row, i64 c,
                                        int count) const {
    const i64 at = row * call.dims.c + c;
    const Floats<kLanes> gy = values(raw.gy);
    const auto store_product = [&](T* to, const Eight<T>& other) {
      Floats<kLanes> g = gy;
      if (mul()) {
        const Floats<kLanes> factor = values(other);
#pragma unroll
        for (int i = 0; i < kLanes; ++i) g.v[i] *= factor.v[i];
      }
      store_some(to + at, g, wide, count);
    };
    if (to_z()) store_product(call.gz, raw.x);
    if (call.gx) store_product(call.gx, raw.z);
  }
};

// Of a broadcast z, summed over a sample's pixels.
template <class T>
struct BroadcastGrad {
  using Column = Nothing;
  BinaryGradCallT<T> call;
  bool wide;
  struct Raw {
    Eight<T> gy, x;
  };
  __device__ bool mul() const { return call.dims.kind == BinaryKind::mul; }
  __device__ Column column(i64, int) const { return {}; }
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, int count) const {
    const i64 at = row * call.dims.c + c;
    Raw raw;
    raw.gy = cuda::fetch(call.gy + at, wide, count);
    if (mul()) raw.x = cuda::fetch(call.x + at, wide, count);
    return raw;
  }
  __device__ __forceinline__ Floats<kLanes> value(const Column&, const Raw& raw) const {
    Floats<kLanes> g = values(raw.gy);
    if (mul()) {
      const Floats<kLanes> x = values(raw.x);
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
  if (!note(exec, kRow, d, binary_cost(d))) return;
  const bool wide = wide_rows(call.x, d.c) && wide_rows(call.z, d.c) && wide_rows(call.y, d.c);
  pass_over_rows(*exec.gpu(), kRow, ForwardPass<T>{{}, call, wide}, d.n * d.hw, d.c);
}

template <class T>
void run_grad(Exec& exec, const BinaryGradCallT<T>& call) {
  constexpr const char* kRow = "binary_grad/any/cuda";
  const BinaryDims& d = call.dims;
  if (!note(exec, kRow, d, binary_grad_cost(d))) return;
  const bool wide = all_wide<T>(d.c, {call.x, call.z, call.gy, call.gx, call.gz});
  // gz first: gx may lie where x or gy does.
  if (call.gz && d.broadcast)
    fold_samples(*exec.gpu(), kRow, BroadcastGrad<T>{call, wide}, d.n, d.hw, d.c, Times{1}, call.gz);
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
