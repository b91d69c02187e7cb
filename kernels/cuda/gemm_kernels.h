// The two launches that products come in: by rows (everything that is stored for each row of a tensor) and
// split along k (gradients of weights, where k runs over all pixels).
#pragma once
#include "kernels/cuda/gemm_sides.h"
#include "kernels/cuda/gemm_tile.h"
#include "kernels/exec.h"
#include "kernels/normed/normed_epilogues.h"

namespace offramp::kernels::cuda {

// Blocks walk over tiles of rows, so that sums over rows stay in registers; every column of tiles is a
// series.
template <class Tile, class A, class B, class Epilogue>
__global__ void __launch_bounds__(Tile::kThreads)
    product_rows(A a, B b, Epilogue epilogue, i64 m, i64 n, i64 k, Parts parts) {
  const i64 n0 = i64(blockIdx.y) * Tile::kColumns, tiles = (m + Tile::kRows - 1) / Tile::kRows;
  const i64 column = n0 + Tile::group() * kLanes;
  const int count = lanes_in(column, n);
  typename Epilogue::State state;
  const typename Epilogue::Column parameters = epilogue.column(column, count);
  for (i64 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const i64 m0 = tile * Tile::kRows;
    typename Tile::Sums sums;
    Tile::clear(sums);
    Tile::multiply(a, b, m0, n0, 0, k, sums);
    Tile::hand_on(sums, [&](int row, Floats<kLanes> v) {
      if (m0 + row < m && count > 0) epilogue.apply(state, parameters, m0 + row, column, count, v);
    });
  }
  epilogue.template finish<Tile>(state, parts, n0, n);
}

// out[m][n] = sum over splits of k; parts are whole tiles.
template <class Tile, class A, class B>
__global__ void __launch_bounds__(Tile::kThreads)
    product_split(A a, B b, float* out, i64 m, i64 n, i64 k, i64 per_split, Parts parts) {
  const i64 tiles_n = (n + Tile::kColumns - 1) / Tile::kColumns;
  const i64 m0 = i64(blockIdx.y) / tiles_n * Tile::kRows, n0 = i64(blockIdx.y) % tiles_n * Tile::kColumns;
  const i64 begin = i64(blockIdx.x) * per_split, end = begin + per_split < k ? begin + per_split : k;
  typename Tile::Sums sums;
  Tile::clear(sums);
  Tile::multiply(a, b, m0, n0, begin, end, sums);
  const i64 column = n0 + Tile::group() * kLanes;
  const int count = lanes_in(column, n);
  if (gridDim.x == 1) {
    Tile::hand_on(sums, [&](int row, const Floats<kLanes>& v) {
      if (m0 + row < m && count > 0) store_some(out + (m0 + row) * n + column, v, false, count);
    });
    return;
  }
  float* const mine = parts.part + (i64(blockIdx.y) * parts.blocks + blockIdx.x) * parts.length;
  Tile::hand_on(sums, [&](int row, const Floats<kLanes>& v) {
    store<kLanes>(mine + row * Tile::kColumns + Tile::group() * kLanes, v);
  });
  const float* total;
  if (!combine_parts<AddParts>(parts, blockIdx.y, int(blockIdx.x), &total)) return;
  for (int i = int(threadIdx.x); i < Tile::kRows * Tile::kColumns; i += Tile::kThreads) {
    const i64 row = m0 + i / Tile::kColumns, col = n0 + i % Tile::kColumns;
    if (row < m && col < n) out[row * n + col] = total[i];
  }
}

// y = act(v + bias + residual)
template <class T>
struct StoreEpilogue {
  struct State {};
  using Column = Floats<kLanes>;
  T* y;
  i64 row_step;
  const float* bias;
  const T* residual;
  Act act;
  bool wide;

  __device__ Column column(i64 c, int count) const {
    Column out = zeros();
    if (bias) out = load_some(bias + c, false, count);
    return out;
  }
  __device__ __forceinline__ void apply(State&, const Column& b, i64 row, i64 c, int count,
                                        Floats<kLanes> v) const {
    const i64 at = row * row_step + c;
    Floats<kLanes> r = zeros();
    if (residual) r = load_some(residual + at, wide, count);
#pragma unroll
    for (int i = 0; i < kLanes; ++i) v.v[i] = apply_act(act, v.v[i] + b.v[i] + r.v[i]);
    store_some(y + at, v, wide, count);
  }
  template <class Tile>
  __device__ void finish(State&, const Parts&, i64, i64) const {}
  static constexpr int kFields = 0;
};
template <class T>
StoreEpilogue<T> store_epilogue(T* y, i64 n, i64 row_step, const float* bias, const T* residual, Act act) {
  return {y,    row_step,
          bias, residual,
          act,  wide_rows(y, n) && row_step % kLanes == 0 && (!residual || wide_rows(residual, n))};
}

template <class Tile, class A, class B, class Epilogue>
void launch_rows(Gpu& gpu, const char* op, const A& a, const B& b, const Epilogue& epilogue, i64 m, i64 n,
                 i64 k) {
  const i64 columns = ceil_div(n, Tile::kColumns), tiles = ceil_div(m, Tile::kRows);
  // Without sums over rows nothing is gained by walking.
  const int blocks = Epilogue::kFields ? row_blocks(gpu, tiles, columns) : int(tiles);
  Parts parts = parts_of(blocks, Epilogue::kFields * i64(Tile::kColumns));
  if (Epilogue::kFields) {
    require_tickets(op, columns, parts);
    place_parts(parts, columns, gpu.scratch(parts_floats(parts, columns)), gpu.tickets());
  }
  launch(gpu, {.op = op, .grid = blocks, .block = Tile::kThreads, .shared = Tile::kShared, .grid_y = columns},
         product_rows<Tile, A, B, Epilogue>, a, b, epilogue, m, n, k, parts);
}

template <class Tile, class A, class B>
void launch_split(Gpu& gpu, const char* op, const A& a, const B& b, float* out, i64 m, i64 n, i64 k) {
  const i64 tiles = ceil_div(m, Tile::kRows) * ceil_div(n, Tile::kColumns);
  const i64 wanted = ceil_div(i64(gpu.properties().multiprocessors) * 2, tiles);
  const i64 most = ceil_div(k, 4 * Tile::kK);  // at least four steps a block
  const i64 per_split = ceil_div(ceil_div(k, wanted < most ? wanted : most), Tile::kK) * Tile::kK;
  const int splits = int(ceil_div(k, per_split));
  Parts parts = parts_of(splits, Tile::kRows * i64(Tile::kColumns));
  if (splits > 1) {
    require_tickets(op, tiles, parts);
    place_parts(parts, tiles, gpu.scratch(parts_floats(parts, tiles)), gpu.tickets());
  }
  launch(gpu, {.op = op, .grid = splits, .block = Tile::kThreads, .shared = Tile::kShared, .grid_y = tiles},
         product_split<Tile, A, B>, a, b, out, m, n, k, per_split, parts);
}

// Tiles: 128 rows by 32 or 64 columns; 64 x 64 for gradients of weights.
template <class Math, bool kBContiguous>
using NarrowTile = GemmTile<Math, 128, 32, 4, 1, true, kBContiguous>;
template <class Math, bool kBContiguous>
using WideTile = GemmTile<Math, 128, 64, 4, 2, true, kBContiguous>;
template <class Math>
using SplitTile = GemmTile<Math, 64, 64, 2, 2, false, false>;

template <class Math, bool kBContiguous, class A, class B, class Epilogue>
void product_by_rows(Gpu& gpu, const char* op, const A& a, const B& b, const Epilogue& epilogue, i64 m, i64 n,
                     i64 k) {
  if (n <= 32)
    launch_rows<NarrowTile<Math, kBContiguous>>(gpu, op, a, b, epilogue, m, n, k);
  else
    launch_rows<WideTile<Math, kBContiguous>>(gpu, op, a, b, epilogue, m, n, k);
}

// Calls f(Math{}) with how tensors of T are multiplied in this context.
template <class T, class F>
void with_math(Exec& exec, F&& f) {
  if constexpr (std::is_same_v<T, Bf16>)
    f(AsBf16{});
  else if (exec.math() != Math::f32)
    f(AsTf32{});
  else
    f(AsFloat{});
}

}  // namespace offramp::kernels::cuda
