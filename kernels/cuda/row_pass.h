// Plain passes over a tensor [rows][channels], with or without sums over the rows, and sums over the pixels
// of samples.
#pragma once
#include "kernels/normed/normed_epilogues.h"

namespace offramp::kernels::cuda {

// Work: an epilogue (normed_epilogues.h) whose values are what it fetched itself; all of a batch of rows is
// under way before the first is used. It may prepare() room() bytes of shared memory, which it then has to
// itself, before anything else.
template <class Tile, class Work>
__global__ void __launch_bounds__(256)
    row_pass(Work work, i64 rows, i64 channels, Parts parts, LiveRows live) {
  constexpr int kBatch = 4;
  const i64 c0 = i64(blockIdx.y) * Tile::kColumns, c = c0 + Tile::group() * kLanes;
  const int count = lanes_in(c, channels);
  const i64 block_first = i64(blockIdx.x) * Tile::kRowStep, step = i64(gridDim.x) * Tile::kRowStep;
  if constexpr (requires { work.prepare(); }) {
    work.prepare();
    __syncthreads();
  }
  typename Work::State state;
  const typename Work::Column column = work.column(c, count);
  work.begin(state, block_first, c, count);
  if (count > 0)
    for (i64 first = block_first + Tile::first_row(); first < rows; first += kBatch * step) {
      if (Work::kFields == 0 && live.beyond(first)) break;
      typename Work::Raw raw[kBatch];
#pragma unroll
      for (int b = 0; b < kBatch; ++b)
        raw[b] = work.fetch(first + b * step, c, first + b * step < rows ? count : 0);
#pragma unroll
      for (int b = 0; b < kBatch; ++b)
        if (first + b * step < rows) work.apply(state, column, raw[b], first + b * step, c, count);
    }
  work.template finish<Tile>(state, parts, c0, channels);
}

template <class Tile, class Work>
void launch_pass(Gpu& gpu, const char* op, const Work& work, i64 rows, i64 channels) {
  const i64 columns = ceil_div(channels, Tile::kColumns), tiles = ceil_div(rows, Tile::kRowStep);
  // Four waves of blocks where nothing is summed; two where every block adds a part.
  const i64 wanted = ceil_div(i64(gpu.properties().multiprocessors) * (Work::kFields ? 4 : 16), columns);
  const int blocks = int(tiles < wanted ? tiles : wanted);
  Parts parts = parts_of(blocks, Work::kFields * i64(Tile::kColumns));
  i64 shared = 0;
  if constexpr (requires { work.room(); }) {
    static_assert(Work::kFields == 0);
    shared = work.room();
  }
  if (Work::kFields) {
    require_tickets(op, columns, parts);
    place_parts(parts, columns, gpu.scratch(parts_floats(parts, columns)), gpu.tickets());
    shared = 4 * Tile::sum_floats(Work::kFields);
  }
  launch(gpu, {.op = op, .grid = blocks, .block = 256, .shared = shared, .grid_y = columns},
         row_pass<Tile, Work>, work, rows, channels, parts, live_rows(gpu, rows));
}
// With as few idle columns as there is a tile for.
template <class Work>
void pass_over_rows(Gpu& gpu, const char* op, const Work& work, i64 rows, i64 channels) {
  if (channels <= 16)
    launch_pass<ColumnThreads<256, 16>>(gpu, op, work, rows, channels);
  else if (channels <= 32)
    launch_pass<ColumnThreads<256, 32>>(gpu, op, work, rows, channels);
  else
    launch_pass<ColumnThreads<256, 64>>(gpu, op, work, rows, channels);
}

// y [samples][channels] = then(index in y, sum over a sample's hw rows). Work: Column column(c, count), Raw
// fetch(row, c, count), Floats<8> value(column, raw).
using FoldTile = ColumnThreads<128, 64>;
template <class T, class Work, class Then>
__global__ void __launch_bounds__(128)
    sample_fold(Work work, Then then, i64 hw, i64 channels, T* y, LiveRows live) {
  if (live.beyond(blockIdx.x)) return;
  constexpr int kBatch = 4;
  const i64 sample = blockIdx.x, c0 = i64(blockIdx.y) * FoldTile::kColumns,
            c = c0 + FoldTile::group() * kLanes;
  const int count = lanes_in(c, channels);
  const typename Work::Column column = work.column(c, count);
  Floats<kLanes> sum[1] = {zeros()};
  if (count > 0)
    for (i64 first = FoldTile::first_row(); first < hw; first += kBatch * FoldTile::kRowStep) {
      typename Work::Raw raw[kBatch];
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        const i64 row = first + b * FoldTile::kRowStep;
        raw[b] = work.fetch(sample * hw + row, c, row < hw ? count : 0);
      }
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        if (first + b * FoldTile::kRowStep >= hw) break;
        const Floats<kLanes> v = work.value(column, raw[b]);
#pragma unroll
        for (int i = 0; i < kLanes; ++i) sum[0].v[i] += v.v[i];
      }
    }
  float* const shared = dynamic_shared<float>();
  FoldTile::sum_rows(sum, shared);
  for (int i = int(threadIdx.x); i < FoldTile::kColumns && c0 + i < channels; i += 128)
    y[sample * channels + c0 + i] = T(then(sample * channels + c0 + i, shared[i]));
}
struct Times {
  float factor;
  __device__ float operator()(i64, float sum) const { return factor * sum; }
};
template <class T, class Work, class Then>
void fold_samples(Gpu& gpu, const char* op, const Work& work, i64 samples, i64 hw, i64 channels,
                  const Then& then, T* y) {
  launch(gpu,
         {.op = op,
          .grid = samples,
          .block = 128,
          .shared = 4 * FoldTile::sum_floats(1),
          .grid_y = ceil_div(channels, FoldTile::kColumns)},
         sample_fold<T, Work, Then>, work, then, hw, channels, y, live_rows(gpu, samples));
}

// What passes without sums share.
struct NoSums {
  using State = Nothing;
  static constexpr int kFields = 0;
  __device__ void begin(State&, i64, i64, int) const {}
  template <class Tile>
  __device__ void finish(State&, const Parts&, i64, i64) const {}
};

// Passes whose rows are gathered from several places: they read where they use.
struct Gathers : NoSums {
  using Column = Nothing;
  using Raw = Nothing;
  __device__ Column column(i64, int) const { return {}; }
  __device__ Raw fetch(i64, i64, int) const { return {}; }
};

}  // namespace offramp::kernels::cuda
