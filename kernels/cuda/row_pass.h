// Plain passes over a tensor [rows][channels], with or without sums over the rows, and sums over the pixels
// of samples.
#pragma once
#include "kernels/normed/normed_epilogues.h"

namespace offramp::kernels::cuda {

// Work: Column column(c, count), apply(state, column, row, c, count), finish<Tile>(state, parts, c0,
// channels), kFields.
template <class Tile, class Work>
__global__ void __launch_bounds__(256) row_pass(Work work, i64 rows, i64 channels, Parts parts) {
  const i64 c0 = i64(blockIdx.y) * Tile::kColumns, c = c0 + Tile::group() * kLanes;
  const int count = lanes_in(c, channels);
  typename Work::State state;
  const typename Work::Column column = work.column(c, count);
  if (count > 0)
    for (i64 row = i64(blockIdx.x) * Tile::kRowStep + Tile::first_row(); row < rows;
         row += i64(gridDim.x) * Tile::kRowStep)
      work.apply(state, column, row, c, count);
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
  if (Work::kFields) {
    require_tickets(op, columns, parts);
    place_parts(parts, columns, gpu.scratch(parts_floats(parts, columns)), gpu.tickets());
    shared = 256 * (1 + 2 * kLanes) * i64(sizeof(float));
  }
  launch(gpu, {.op = op, .grid = blocks, .block = 256, .shared = shared, .grid_y = columns},
         row_pass<Tile, Work>, work, rows, channels, parts);
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

// y [samples][channels] = factor * sum over a sample's hw rows. Work: Column column(c, count), Floats<8>
// value(column, row, c, count).
using FoldTile = ColumnThreads<128, 64>;
template <class T, class Work>
__global__ void __launch_bounds__(128) sample_fold(Work work, i64 hw, i64 channels, float factor, T* y) {
  const i64 sample = blockIdx.x, c = i64(blockIdx.y) * FoldTile::kColumns + FoldTile::group() * kLanes;
  const int count = lanes_in(c, channels);
  const typename Work::Column column = work.column(c, count);
  Floats<kLanes> sum = zeros();
  if (count > 0)
    for (i64 row = FoldTile::first_row(); row < hw; row += FoldTile::kRowStep) {
      const Floats<kLanes> v = work.value(column, sample * hw + row, c, count);
#pragma unroll
      for (int i = 0; i < kLanes; ++i) sum.v[i] += v.v[i];
    }
  const bool writes = FoldTile::fold_rows(sum, [](Floats<kLanes>& a, const Floats<kLanes>& b) {
#pragma unroll
    for (int i = 0; i < kLanes; ++i) a.v[i] += b.v[i];
  });
  if (!writes) return;
#pragma unroll
  for (int i = 0; i < kLanes; ++i)
    if (i < count) y[sample * channels + c + i] = T(factor * sum.v[i]);
}
template <class T, class Work>
void fold_samples(Gpu& gpu, const char* op, const Work& work, i64 samples, i64 hw, i64 channels, float factor,
                  T* y) {
  launch(gpu,
         {.op = op,
          .grid = samples,
          .block = 128,
          .shared = 128 * i64(sizeof(Floats<kLanes>)),
          .grid_y = ceil_div(channels, FoldTile::kColumns)},
         sample_fold<T, Work>, work, hw, channels, factor, y);
}

// What passes without sums share.
struct NoSums {
  struct State {};
  static constexpr int kFields = 0;
  template <class Tile>
  __device__ void finish(State&, const Parts&, i64, i64) const {}
};

}  // namespace offramp::kernels::cuda
