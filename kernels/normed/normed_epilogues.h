// What is done with rows of eight channels, wherever they come from (a product, a convolution, a plain pass):
// stored with the statistics of their channels, or turned into the gradient behind an activation with the
// sums that the gradient of a normalisation asks for. `Tile` says which thread has which columns
// (kernels/cuda/columns.h).
#pragma once
#include "kernels/cuda/columns.h"
#include "kernels/error.h"
#include "kernels/normed/normed_device.h"

namespace offramp::kernels::cuda {

// How many of the eight channels from c on exist.
__device__ __forceinline__ int lanes_in(int c, int channels) {
  return c >= channels ? 0 : channels - c < kLanes ? channels - c : kLanes;
}
// p + row * step + c, with one multiplication: rows and columns are fewer than 2^31 (require_rows), elements
// may be more.
template <class T>
__device__ __forceinline__ T* element(T* p, int row, i64 step, int c) {
  return p + (i64(row) * int(step) + c);
}
inline void require_rows(const char* op, std::initializer_list<i64> counts) {
  for (const i64 count : counts)
    if (count > INT32_MAX) throw Error(std::string("cuda: ") + op + ": more than 2^31 - 1 rows");
}
// Whether rows of c values that begin at p can be read eight values at a time.
template <class T>
bool wide_rows(const T* p, i64 c) {
  return c % kLanes == 0 && reinterpret_cast<uintptr_t>(p) % 16 == 0;
}

// The same for several arrays, of which some may be null.
template <class T>
bool all_wide(i64 c, std::initializer_list<const T*> arrays) {
  for (const T* const* p = arrays.begin(); p != arrays.end(); ++p)
    if (*p && !wide_rows(*p, c)) return false;
  return c % kLanes == 0;
}

__device__ __forceinline__ Floats<kLanes> zeros() {
  Floats<kLanes> out;
#pragma unroll
  for (int i = 0; i < kLanes; ++i) out.v[i] = 0;
  return out;
}

// An epilogue brings: Raw fetch(row, c, count), what else it reads there; begin(state, first), called with
// the first row of the block before any apply; apply(state, column, raw, row, c, count, values);
// finish<Tile>, called by all threads when the block is done, shared memory free.
struct Nothing {};

// y raw, with the statistics of its channels.
template <class T>
struct MomentsEpilogue {
  using State = Moments;
  using Column = Nothing;
  using Raw = Nothing;
  T* y;
  i64 row_step;
  NormOut out;
  bool wide;

  __device__ Column column(int, int) const { return {}; }
  __device__ __forceinline__ Raw fetch(int, int, int) const { return {}; }
  __device__ __forceinline__ void begin(State& state, const Floats<kLanes>& first) const {
    state.begin(first);
  }
  __device__ __forceinline__ void apply(State& state, const Column&, const Raw&, int row, int c, int count,
                                        Floats<kLanes> v) const {
    state.add(store_rounded(element(y, row, row_step, c), v, wide, count));  // what the next one will read
  }
  template <class Tile>
  __device__ void finish(State& state, const Parts& parts, i64 n0, i64 n) const {
    float* const shared = dynamic_shared<float>();
    constexpr int kN = Tile::kColumns;
    Floats<kLanes> fields[3] = {zeros(), state.sum, state.squares};
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      fields[0].v[i] = state.n;
      if (state.n == 0) fields[1].v[i] = fields[2].v[i] = 0;
    }
    Tile::sum_rows(fields, shared);
    float* const part = parts.part + (i64(blockIdx.y) * parts.blocks + blockIdx.x) * parts.length;
    // The threads of the first row hold every column's shift.
    if (Tile::first_row() == 0) {
#pragma unroll
      for (int i = 0; i < kLanes; ++i) {
        const int c = Tile::group() * kLanes + i;
        const float count = shared[c], sum = shared[kN + c], squares = shared[2 * kN + c];
        part[c] = count;
        part[kN + c] = count == 0 ? 0.0f : state.shift.v[i] + sum / count;
        part[2 * kN + c] = count == 0 ? 0.0f : fmaxf(squares - sum * (sum / count), 0.0f);
      }
    }
    const float* total;
    if (!combine_parts<MomentParts>(parts, blockIdx.y, int(blockIdx.x), kN, &total)) return;
    finish_moments(out, total, kN, n0, n - n0 < kN ? n - n0 : i64(kN));
  }
  static constexpr int kFields = MomentParts::kFields;
};

// Sums of dz and of dz * (x - mean) of eight channels.
struct SlopeSums {
  Floats<kLanes> sum = {}, with_d = {};
};
// Over all threads and blocks; then(total), total [2][columns], is called by the threads of the last block.
template <class Tile, class Then>
__device__ void fold_sums(const SlopeSums& state, const Parts& parts, Then&& then) {
  float* const shared = dynamic_shared<float>();
  Floats<kLanes> fields[2] = {state.sum, state.with_d};
  Tile::sum_rows(fields, shared);
  float* const part = parts.part + (i64(blockIdx.y) * parts.blocks + blockIdx.x) * parts.length;
  for (int i = int(threadIdx.x); i < 2 * Tile::kColumns; i += int(blockDim.x)) part[i] = shared[i];
  const float* total;
  if (combine_parts<AddParts>(parts, blockIdx.y, int(blockIdx.x), 2 * Tile::kColumns, &total)) then(total);
}

// The gradient behind the activation of `in`: dz = v * act', with the sums of dz and dz * (x - mean).
template <class T>
struct SlopeEpilogue {
  using State = SlopeSums;
  using Column = NormedChannels;
  using Raw = Eight<T>;
  NormedT<T> in;
  T* dz;
  i64 channels, rows;
  NormGradOut out;
  bool wide;

  __device__ Column column(int c, int count) const { return channels_of(in, c, count); }
  __device__ __forceinline__ Raw fetch(int row, int c, int count) const {
    return cuda::fetch(element(in.x, row, channels, c), wide, count);
  }
  __device__ __forceinline__ void begin(State&, const Floats<kLanes>&) const {}
  __device__ __forceinline__ void apply(State& state, const Column& p, const Raw& raw, int row, int c,
                                        int count, Floats<kLanes> v) const {
    Floats<kLanes> d = values(raw), z;
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      d.v[i] -= p.mean.v[i];
      z.v[i] = d.v[i] * p.scale.v[i] + p.beta.v[i];
    }
    times_slope(in.act, z, v);
    if (dz) v = store_rounded(element(dz, row, channels, c), v, wide, count);  // what the next one will read
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      state.sum.v[i] += v.v[i];
      state.with_d.v[i] = fmaf(v.v[i], d.v[i], state.with_d.v[i]);
    }
  }
  template <class Tile>
  __device__ void finish(State& state, const Parts& parts, i64 n0, i64 n) const {
    fold_sums<Tile>(state, parts, [&](const float* total) {
      finish_sums(out, in.scale, total, Tile::kColumns, n0,
                  n - n0 < Tile::kColumns ? n - n0 : i64(Tile::kColumns), rows);
    });
  }
  static constexpr int kFields = 2;
};

inline void require_tickets(const char* op, i64 series, const Parts& p) {
  if (series * (p.groups + 1) > Gpu::kTickets)
    throw Error(std::string("cuda: ") + op + ": more columns than there are counters for");
}

}  // namespace offramp::kernels::cuda
