// What is done with rows of eight channels, wherever they come from (a product, a convolution, a plain pass):
// stored with the statistics of their channels, or turned into the gradient behind an activation with the
// sums that the gradient of a normalisation asks for. `Tile` says which thread has which columns
// (kernels/cuda/columns.h).
#pragma once
#include "kernels/cuda/columns.h"
#include "kernels/error.h"
#include "kernels/normed/normed_device.h"

namespace offramp::kernels::cuda {

struct NoColumn {};

// How many of the eight channels from c on exist.
__device__ __forceinline__ int lanes_in(i64 c, i64 channels) {
  return c >= channels ? 0 : channels - c < kLanes ? int(channels - c) : kLanes;
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

// Count, mean and squared deviations of eight channels, as threads hand them to each other.
struct FoldedMoments {
  float n[1];
  Floats<kLanes> mean, m2;
};

// y raw, with the statistics of its channels.
template <class T>
struct MomentsEpilogue {
  using State = Moments;
  using Column = NoColumn;
  T* y;
  i64 row_step;
  NormOut out;
  bool wide;

  __device__ Column column(i64, int) const { return {}; }
  __device__ __forceinline__ void apply(State& state, const Column&, i64 row, i64 c, int count,
                                        Floats<kLanes> v) const {
    store_some(y + row * row_step + c, v, wide, count);
#pragma unroll
    for (int i = 0; i < kLanes; ++i) v.v[i] = float(T(v.v[i]));  // of what the next one will read
    state.add(v);
  }
  template <class Tile>
  __device__ void finish(State& state, const Parts& parts, i64 n0, i64 n) const {
    FoldedMoments mine;
    mine.n[0] = state.n;
#pragma unroll
    for (int i = 0; i < kLanes; ++i) mine.mean.v[i] = state.mean(i), mine.m2.v[i] = state.m2(i);
    const bool writes = Tile::fold_rows(mine, [](FoldedMoments& a, const FoldedMoments& b) {
      const float total = a.n[0] + b.n[0];
      if (b.n[0] == 0) return;
      const float share = b.n[0] / total;
#pragma unroll
      for (int i = 0; i < kLanes; ++i) {
        const float delta = b.mean.v[i] - a.mean.v[i];
        a.mean.v[i] += delta * share;
        a.m2.v[i] += b.m2.v[i] + delta * delta * (a.n[0] * share);
      }
      a.n[0] = total;
    });
    float* const part = parts.part + (i64(blockIdx.y) * parts.blocks + blockIdx.x) * parts.length;
    if (writes) {
#pragma unroll
      for (int i = 0; i < kLanes; ++i) {
        const int c = Tile::group() * kLanes + i;
        part[c] = mine.n[0];
        part[Tile::kColumns + c] = mine.mean.v[i];
        part[2 * Tile::kColumns + c] = mine.m2.v[i];
      }
    }
    const float* total;
    if (!combine_parts<MomentParts>(parts, blockIdx.y, int(blockIdx.x), &total)) return;
    finish_moments(out, total, Tile::kColumns, n0, n - n0 < Tile::kColumns ? n - n0 : i64(Tile::kColumns));
  }
  static constexpr int kFields = MomentParts::kFields;
};

// Sums of dz and of dz * (x - mean) of eight channels.
struct SlopeSums {
  Floats<kLanes> sum, with_d;
  bool used = false;
};
// Over all threads and blocks; then(total), total [2][columns], is called by the threads of the last block.
template <class Tile, class Then>
__device__ void fold_sums(const SlopeSums& state, const Parts& parts, Then&& then) {
  struct Pair {
    Floats<kLanes> sum, with_d;
  } mine = {zeros(), zeros()};
  if (state.used) mine = {state.sum, state.with_d};
  const bool writes = Tile::fold_rows(mine, [](Pair& a, const Pair& b) {
#pragma unroll
    for (int i = 0; i < kLanes; ++i) a.sum.v[i] += b.sum.v[i], a.with_d.v[i] += b.with_d.v[i];
  });
  float* const part = parts.part + (i64(blockIdx.y) * parts.blocks + blockIdx.x) * parts.length;
  if (writes) {
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      const int c = Tile::group() * kLanes + i;
      part[c] = mine.sum.v[i];
      part[Tile::kColumns + c] = mine.with_d.v[i];
    }
  }
  const float* total;
  if (combine_parts<AddParts>(parts, blockIdx.y, int(blockIdx.x), &total)) then(total);
}

// The gradient behind the activation of `in`: dz = v * act', with the sums of dz and dz * (x - mean).
template <class T>
struct SlopeEpilogue {
  using State = SlopeSums;
  using Column = NormedChannels;
  NormedT<T> in;
  T* dz;
  i64 channels, rows;
  NormGradOut out;
  bool wide;

  __device__ Column column(i64 c, int count) const { return channels_of(in, c, count); }
  __device__ __forceinline__ void apply(State& state, const Column& p, i64 row, i64 c, int count,
                                        Floats<kLanes> v) const {
    const i64 at = row * channels + c;
    const Floats<kLanes> x = load_some(in.x + at, wide, count);
    if (!state.used) state = {zeros(), zeros(), true};
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      const float d = x.v[i] - p.mean.v[i];
      v.v[i] = float(T(v.v[i] * act_slope(in.act, d * p.scale.v[i] + p.beta.v[i])));
      state.sum.v[i] += v.v[i];
      state.with_d.v[i] = fmaf(v.v[i], d, state.with_d.v[i]);
    }
    if (dz) store_some(dz + at, v, wide, count);
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

// Blocks of rows that keep the card busy: about two waves of them.
inline int row_blocks(const Gpu& gpu, i64 tiles, i64 columns) {
  const i64 wanted = ceil_div(i64(gpu.properties().multiprocessors) * 2, columns);
  return int(tiles < wanted ? tiles : wanted);
}

}  // namespace offramp::kernels::cuda
