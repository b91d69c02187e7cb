// The two launches that products come in: by rows (everything that is stored for each row of a tensor) and
// split along k (gradients of weights, where k runs over all pixels).
#pragma once
#include "kernels/cuda/gemm_few_rows.h"

namespace offramp::kernels::cuda {

// Blocks walk down a column of tiles; every column is a series. kStays: k <= Tile::kK.
template <class Tile, bool kStays, class A, class B, class Epilogue>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    product_rows(A a, B b, Epilogue epilogue, int m, int n, int k, Parts parts, LiveRows live) {
  const int n0 = int(blockIdx.y) * Tile::kColumns, step = int(gridDim.x) * Tile::kRows;
  int m0 = int(blockIdx.x) * Tile::kRows;
  if (Epilogue::kFields == 0 && live.beyond(m0)) return;
  typename Tile::template Products<A, B, kStays> products(a, b, m0, n0, 0, k, k);
  const int column = n0 + Tile::group() * kLanes, count = lanes_in(column, n);
  typename Epilogue::State state;
  for (bool first = true; m0 < m; m0 += step, first = false) {
    if (Epilogue::kFields == 0 && live.beyond(m0)) break;
    if (!first) products.go_on(m0);
    typename Tile::Sums sums;
    products.multiply(sums);
    // Each time anew: in registers they would crowd out the operands.
    const typename Epilogue::Column parameters = epilogue.column(column, count);
    Tile::hand_on(
        sums, [&](int row) { return epilogue.fetch(m0 + row, column, m0 + row < m ? count : 0); },
        [&](const Floats<kLanes>& row) {
          if (first) epilogue.begin(state, row);
        },
        [&](int row, const typename Epilogue::Raw& raw, const Floats<kLanes>& v) {
          if (m0 + row < m && count > 0) epilogue.apply(state, parameters, raw, m0 + row, column, count, v);
        });
  }
  epilogue.template finish<Tile>(state, parts, n0, n);
}

// out[m][n] = sum over splits of k; parts are whole tiles, as far as they are filled.
template <class Tile, class A, class B>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    product_split(A a, B b, float* out, int m, int n, int k, int per_split, Parts parts) {
  const int tiles_n = (n + Tile::kColumns - 1) / Tile::kColumns;
  const int m0 = int(blockIdx.y) / tiles_n * Tile::kRows, n0 = int(blockIdx.y) % tiles_n * Tile::kColumns;
  const int begin = int(blockIdx.x) * per_split, end = k - begin < per_split ? k : begin + per_split;
  typename Tile::Sums sums;
  typename Tile::template Products<A, B, false>(a, b, m0, n0, begin, end, k).multiply(sums);
  const int column = n0 + Tile::group() * kLanes, count = lanes_in(column, n);
  const int rows = m - m0 < Tile::kRows ? m - m0 : Tile::kRows,
            columns = n - n0 < Tile::kColumns ? (n - n0 + kLanes - 1) / kLanes * kLanes : Tile::kColumns;
  const bool alone = gridDim.x == 1;
  float* const mine = parts.part + (i64(blockIdx.y) * parts.blocks + blockIdx.x) * parts.length;
  Tile::hand_on(
      sums, [](int) { return Nothing{}; }, [](const Floats<kLanes>&) {},
      [&](int row, const Nothing&, const Floats<kLanes>& v) {
        if (row >= rows || count == 0) return;
        if (alone)
          store_some(element(out, m0 + row, n, column), v, false, count);
        else
          store<kLanes>(mine + row * columns + Tile::group() * kLanes, v);
      });
  const float* total;
  if (alone || !combine_parts<AddParts>(parts, blockIdx.y, int(blockIdx.x), rows * columns, &total)) return;
  for (int i = int(threadIdx.x); i < rows * columns; i += Tile::kThreads) {
    const int row = m0 + i / columns, col = n0 + i % columns;
    if (col < n) *element(out, row, n, col) = total[i];
  }
}

// y = act(v + bias + residual)
template <class T>
struct StoreEpilogue {
  using State = Nothing;
  using Column = Floats<kLanes>;
  using Raw = Eight<T>;
  T* y;
  i64 row_step;
  const float* bias;
  const T* residual;
  Act act;
  bool wide;

  __device__ Column column(int c, int count) const {
    return bias ? load_some(bias + c, false, count) : zeros();
  }
  __device__ __forceinline__ Raw fetch(int row, int c, int count) const {
    return cuda::fetch(element(residual ? residual : y, row, row_step, c), wide, residual ? count : 0);
  }
  __device__ __forceinline__ void begin(State&, const Floats<kLanes>&) const {}
  __device__ __forceinline__ void apply(State&, const Column& b, const Raw& raw, int row, int c, int count,
                                        Floats<kLanes> v) const {
    const Floats<kLanes> r = values(raw);
#pragma unroll
    for (int i = 0; i < kLanes; ++i) v.v[i] += b.v[i] + r.v[i];
    apply_act(act, v);
    store_some(element(y, row, row_step, c), v, wide, count);
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

template <class Tile, bool kStays, class A, class B, class Epilogue>
void launch_rows(Gpu& gpu, const char* op, const A& a, const B& b, const Epilogue& epilogue, i64 m, i64 n,
                 i64 k) {
  const i64 columns = ceil_div(n, Tile::kColumns), tiles = ceil_div(m, Tile::kRows);
  // As many blocks as find room at once.
  const i64 room = ceil_div(i64(gpu.properties().multiprocessors) * Tile::kBlocks, columns);
  const i64 blocks = tiles < room ? tiles : room;
  require_rows(op, {m + blocks * Tile::kRows, n, k});  // the last step of the walk passes m
  Parts parts = parts_of(int(blocks), Epilogue::kFields * i64(Tile::kColumns));
  if (Epilogue::kFields) {
    require_tickets(op, columns, parts);
    place_parts(parts, columns, gpu.scratch(parts_floats(parts, columns)), gpu.tickets());
  }
  launch(gpu,
         {.op = op,
          .grid = blocks,
          .block = Tile::kThreads,
          .shared = Tile::shared_bytes(a, b, k),
          .grid_y = columns},
         product_rows<Tile, kStays, A, B, Epilogue>, a, b, epilogue, int(m), int(n), int(k), parts,
         live_rows(gpu, m));
}

template <class Tile, class A, class B>
void launch_split(Gpu& gpu, const char* op, const A& a, const B& b, float* out, i64 m, i64 n, i64 k) {
  require_rows(op, {m, n, k});
  const i64 tiles = ceil_div(m, Tile::kRows) * ceil_div(n, Tile::kColumns);
  const i64 wanted = ceil_div(i64(gpu.properties().multiprocessors) * 2, tiles);
  const i64 most = ceil_div(k, 2 * Tile::kK);  // at least two steps a block
  const i64 per_split = ceil_div(ceil_div(k, wanted < most ? wanted : most), Tile::kK) * Tile::kK;
  const int splits = int(ceil_div(k, per_split));
  Parts parts = parts_of(splits, Tile::kRows * i64(Tile::kColumns));
  if (splits > 1) {
    require_tickets(op, tiles, parts);
    place_parts(parts, tiles, gpu.scratch(parts_floats(parts, tiles)), gpu.tickets());
  }
  launch(gpu,
         {.op = op,
          .grid = splits,
          .block = Tile::kThreads,
          .shared = Tile::shared_bytes(a, b, k),
          .grid_y = tiles},
         product_split<Tile, A, B>, a, b, out, int(m), int(n), int(k), int(per_split), parts);
}

// Tiles: 128 rows by 32 or 64 columns, 32 rows where those would leave multiprocessors idle (and
// gemm_few_rows.h where even these do); 64 x 64 for gradients of weights.
template <class Math, bool kBContiguous>
using NarrowTile = GemmTile<Math, 128, 32, 8, 1, true, kBContiguous>;
template <class Math, bool kBContiguous, int kDepth>
using WideTile = GemmTile<Math, 128, 64, 4, 2, true, kBContiguous, kDepth>;
template <class Math, bool kBContiguous>
using ShortTile =
    GemmTile<Math, 32, 64, 2, 4, true, kBContiguous, sizeof(typename Math::Stored) == 2 ? 128 : 64>;
template <class Math>
using SplitTile = GemmTile<Math, 64, 64, 2, 4, false, false>;

template <class Math, bool kBContiguous, class A, class B, class Epilogue>
void product_by_rows(Gpu& gpu, const char* op, const A& a, const B& b, const Epilogue& epilogue, i64 m, i64 n,
                     i64 k) {
  if constexpr (kBContiguous && A::kParameters == 0 && B::kParameters == 0 && Epilogue::kFields == 0)
    if (are_few_rows<Math>(gpu, m, n, k)) return launch_few_rows<Math>(gpu, op, a, b, epilogue, m, n, k);
  const auto launch_as = [&]<class Tile, bool kStays>() {
    launch_rows<Tile, kStays>(gpu, op, a, b, epilogue, m, n, k);
  };
  // Weights stay where one step holds all of k. On the large maps, where most bytes are, k is 16 to 40.
  if (ceil_div(m, 128) * ceil_div(n, 64) < gpu.properties().multiprocessors)
    launch_as.template operator()<ShortTile<Math, kBContiguous>, false>();
  else if (n <= 32 && k <= 64)
    launch_as.template operator()<NarrowTile<Math, kBContiguous>, true>();
  else if (n <= 32)
    launch_as.template operator()<NarrowTile<Math, kBContiguous>, false>();
  else if (k <= 32)
    launch_as.template operator()<WideTile<Math, kBContiguous, 32>, true>();
  else if (k <= 64)
    launch_as.template operator()<WideTile<Math, kBContiguous, 64>, true>();
  else
    launch_as.template operator()<WideTile<Math, kBContiguous, 64>, false>();
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
