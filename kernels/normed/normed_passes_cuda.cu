// Device rows of the passes between two normalisations: slopes, sums with a residual.
#include "kernels/cuda/problem.h"
#include "kernels/cuda/row_pass.h"
#include "kernels/normed/normed.h"

namespace offramp::kernels {
namespace cuda {
namespace {

// The slope epilogue over (g * gate + shift_factor * shift); dz null: only the sums.
template <class T>
struct SlopePass {
  using State = typename SlopeEpilogue<T>::State;
  using Column = NormedChannels;
  SlopeEpilogue<T> slope;
  const T *g, *shift;
  float shift_factor;
  i64 hw;
  bool wide;
  static constexpr int kFields = SlopeEpilogue<T>::kFields;

  struct Raw {
    typename SlopeEpilogue<T>::Raw x;
    Eight<T> g, gate, shift;
  };
  __device__ Column column(i64 c, int count) const { return slope.column(c, count); }
  __device__ void begin(State&, i64, i64, int) const {}
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, int count) const {
    Raw raw;
    raw.x = slope.fetch(row, c, count);
    raw.g = cuda::fetch(g + row * slope.channels + c, wide, count);
    const i64 of_sample = i64(u32(row) / u32(hw)) * slope.channels + c;
    if (slope.in.gate) raw.gate = cuda::fetch(slope.in.gate + of_sample, wide, count);
    if (shift) raw.shift = cuda::fetch(shift + of_sample, wide, count);
    return raw;
  }
  __device__ __forceinline__ void apply(State& state, const Column& p, const Raw& raw, i64 row, i64 c,
                                        int count) const {
    Floats<kLanes> v = values(raw.g);
    if (slope.in.gate) {
      const Floats<kLanes> factor = values(raw.gate);
#pragma unroll
      for (int i = 0; i < kLanes; ++i) v.v[i] *= factor.v[i];
    }
    if (shift) {
      const Floats<kLanes> more = values(raw.shift);
#pragma unroll
      for (int i = 0; i < kLanes; ++i) v.v[i] = fmaf(shift_factor, more.v[i], v.v[i]);
    }
    slope.apply(state, p, raw.x, row, c, count, v);
  }
  template <class Tile>
  __device__ void finish(State& state, const Parts& parts, i64 c0, i64 channels) const {
    slope.template finish<Tile>(state, parts, c0, channels);
  }
};

template <class T>
void slope(Exec& exec, const NormedSlopeCallT<T>& call) {
  constexpr const char* kRow = "normed_slope/any/cuda";
  const NormedDims& d = call.dims;
  if (!note(exec, kRow, d, normed_pass_cost(d, kNormedGradOps, 2, call.dz ? 1 : 0))) return;
  const bool wide = all_wide<T>(d.c_in, {call.in.x, call.g, call.dz, call.in.gate, call.shift});
  pass_over_rows(*exec.gpu(), kRow,
                 SlopePass<T>{{call.in, call.dz, d.c_in, d.rows, call.out, wide},
                              call.g,
                              call.shift,
                              call.shift_factor,
                              d.hw,
                              wide},
                 d.rows, d.c_in);
}

template <class T>
struct AddPass : NoSums {
  using Column = NormedChannels;
  NormedT<T> in;
  const T* residual;
  T* y;
  i64 channels;
  bool wide;

  struct Raw {
    Eight<T> x, residual;
  };
  __device__ Column column(i64 c, int count) const { return channels_of(in, c, count); }
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, int count) const {
    const i64 at = row * channels + c;
    Raw raw;
    raw.x = cuda::fetch(in.x + at, wide, count);
    if (residual) raw.residual = cuda::fetch(residual + at, wide, count);
    return raw;
  }
  __device__ __forceinline__ void apply(State&, const Column& p, const Raw& raw, i64 row, i64 c,
                                        int count) const {
    Floats<kLanes> v = formed(in, p, values(raw.x));
    if (residual) {
      const Floats<kLanes> r = values(raw.residual);
#pragma unroll
      for (int i = 0; i < kLanes; ++i) v.v[i] += r.v[i];
    }
    store_some(y + row * channels + c, v, wide, count);
  }
};

template <class T>
void add(Exec& exec, const NormedAddCallT<T>& call) {
  constexpr const char* kRow = "normed_add/any/cuda";
  const NormedDims& d = call.dims;
  if (!note(exec, kRow, d, normed_pass_cost(d, 5, call.residual ? 2 : 1, 1))) return;
  const bool wide = wide_rows(call.in.x, d.c_in) && wide_rows(call.y, d.c_in) &&
                    (!call.residual || wide_rows(call.residual, d.c_in));
  pass_over_rows(*exec.gpu(), kRow, AddPass<T>{{}, call.in, call.residual, call.y, d.c_in, wide}, d.rows,
                 d.c_in);
}

}  // namespace

void normed_slope(Exec& exec, const NormedSlopeCall& call) { slope(exec, call); }
void normed_add(Exec& exec, const NormedAddCall& call) { add(exec, call); }

}  // namespace cuda

void normed_slope(Exec& exec, const NormedSlopeCallT<Bf16>& call) { cuda::slope(exec, call); }
void normed_add(Exec& exec, const NormedAddCallT<Bf16>& call) { cuda::add(exec, call); }

}  // namespace offramp::kernels
