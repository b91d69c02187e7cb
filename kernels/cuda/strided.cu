#include "kernels/cuda/strided.h"

#include "kernels/cuda/entry_list.h"
#include "kernels/cuda/problem.h"
#include "kernels/cuda/row_pass.h"

namespace offramp::cuda {
namespace {

constexpr int kBlock = 256;

template <class To, class From>
__device__ __forceinline__ To converted(From v) {
  if constexpr (std::is_same_v<To, From>)
    return v;
  else
    return To(float(v));
}

struct Places {
  i64 to, from;
};
__device__ __forceinline__ Places places_of(const Strided& walk, i64 index) {
  Places out{0, 0};
  for (int a = walk.axes - 1; a >= 0; --a) {
    const i64 rest = index / walk.extent[a], at = index - rest * walk.extent[a];
    out.to += at * walk.to[a];
    out.from += at * walk.from[a];
    index = rest;
  }
  return out;
}

template <class To, class From>
__global__ void copy_kernel(Strided walk, i64 count, To* to, const From* from) {
  const i64 i = i64(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= count) return;
  const Places p = places_of(walk, i);
  to[p.to] = converted<To>(from[p.from]);
}
template <class T>
__global__ void add_kernel(Strided walk, i64 count, T* to, const T* from) {
  const i64 i = i64(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= count) return;
  const Places p = places_of(walk, i);
  if constexpr (std::is_same_v<T, Bf16>)
    to[p.to] = T(float(to[p.to]) + float(from[p.from]));
  else
    to[p.to] += from[p.from];
}

using SumList = EntryList<StridedSum, 128>;

__global__ void __launch_bounds__(kBlock) add_list_kernel(const __grid_constant__ SumList list) {
  const int entry = entry_of(list);
  const StridedSum& sum = list.entry[entry];
  const i64 i = i64(i32(blockIdx.x) - list.first_block[entry]) * kBlock + threadIdx.x;
  if (i >= sum.walk.count()) return;
  const Places p = places_of(sum.walk, i);
  sum.to[p.to] += sum.from[p.from];
}

// Rows along x: y ends at 65,535.
template <class T>
__global__ void rows_kernel(i64 length, const T* from, const i64* index, T* to) {
  const i64 row = blockIdx.x, of = index[row];
  for (i64 i = i64(blockIdx.y) * kBlock + threadIdx.x; i < length; i += i64(gridDim.y) * kBlock)
    to[row * length + i] = from[of * length + i];
}
template <class T>
__global__ void fill_kernel(Strided walk, i64 count, T* to, T value) {
  const i64 i = i64(blockIdx.x) * kBlock + threadIdx.x;
  if (i < count) to[places_of(walk, i).to] = value;
}

template <class T>
__global__ void scale_kernel(i64 count, const T* from, float factor, T* to) {
  const i64 i = i64(blockIdx.x) * kBlock + threadIdx.x;
  if (i < count) to[i] = T(float(from[i]) * factor);
}

// Sums of the columns of plain rows.
template <class T>
struct SumPass {
  using State = kernels::cuda::SlopeSums;
  using Column = kernels::cuda::Nothing;
  const T* x;
  i64 channels;
  float* out;
  bool wide;
  static constexpr int kFields = 2;

  using Raw = Eight<T>;
  __device__ Column column(i64, int) const { return {}; }
  __device__ void begin(State&, i64, i64, int) const {}
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, int count) const {
    return cuda::fetch(x + row * channels + c, wide, count);
  }
  __device__ __forceinline__ void apply(State& state, const Column&, const Raw& raw, i64, i64, int) const {
    const auto v = values(raw);
#pragma unroll
    for (int i = 0; i < kernels::cuda::kLanes; ++i) state.sum.v[i] += v.v[i];
  }
  template <class Tile>
  __device__ void finish(State& state, const Parts& parts, i64 c0, i64 n) const {
    kernels::cuda::fold_sums<Tile>(state, parts, [&](const float* total) {
      const i64 count = n - c0 < Tile::kColumns ? n - c0 : i64(Tile::kColumns);
      for (i64 i = threadIdx.x; i < count; i += blockDim.x) out[c0 + i] = total[i];
    });
  }
};

}  // namespace

template <class To, class From>
void strided_copy(Gpu& gpu, const Strided& walk, To* to, const From* from) {
  gpu.join();
  const i64 count = walk.count();
  problem().set("copy/strided/cuda", {{"count", count}});
  launch(gpu, {.op = "copy/strided/cuda", .grid = ceil_div(count, kBlock), .block = kBlock},
         copy_kernel<To, From>, walk, count, to, from);
}
template <class T>
void strided_add(Gpu& gpu, const Strided& walk, T* to, const T* from) {
  gpu.join();
  const i64 count = walk.count();
  problem().set("add/strided/cuda", {{"count", count}});
  launch(gpu, {.op = "add/strided/cuda", .grid = ceil_div(count, kBlock), .block = kBlock}, add_kernel<T>,
         walk, count, to, from);
}
void strided_add(Gpu& gpu, std::span<const StridedSum> list) {
  constexpr const char* kRow = "add/strided_list/cuda";
  gpu.join();
  for_parts<SumList>(
      list, [](const StridedSum& s) { return ceil_div(s.walk.count(), kBlock); },
      [&](const SumList& part, i64) {
        problem().set(kRow, {{"arrays", part.entries}, {"blocks", part.blocks()}});
        launch(gpu, {.op = kRow, .grid = part.blocks(), .block = kBlock}, add_list_kernel, part);
      });
}
template <class T>
void take_rows(Gpu& gpu, i64 rows, i64 length, const T* from, const i64* index, T* to) {
  constexpr const char* kRow = "copy/rows/cuda";
  gpu.join();
  problem().set(kRow, {{"rows", rows}, {"length", length}});
  const i64 blocks = ceil_div(length, kBlock);
  launch(gpu, {.op = kRow, .grid = rows, .block = kBlock, .grid_y = blocks < 64 ? blocks : 64},
         rows_kernel<T>, length, from, index, to);
}
template <class T>
void strided_fill(Gpu& gpu, const Strided& walk, T* to, T value) {
  gpu.join();
  const i64 count = walk.count();
  problem().set("fill/strided/cuda", {{"count", count}});
  launch(gpu, {.op = "fill/strided/cuda", .grid = ceil_div(count, kBlock), .block = kBlock}, fill_kernel<T>,
         walk, count, to, value);
}
template <class T>
void scale(Gpu& gpu, i64 count, const T* from, float factor, T* to) {
  gpu.join();
  problem().set("scale/any/cuda", {{"count", count}});
  launch(gpu, {.op = "scale/any/cuda", .grid = ceil_div(count, kBlock), .block = kBlock}, scale_kernel<T>,
         count, from, factor, to);
}
template <class T>
void column_sum(Gpu& gpu, i64 rows, i64 c, const T* x, float* out) {
  const Aside aside(gpu);
  problem().set("column_sum/any/cuda", {{"rows", rows}, {"c", c}});
  kernels::cuda::pass_over_rows(gpu, "column_sum/any/cuda",
                                SumPass<T>{x, c, out, kernels::cuda::wide_rows(x, c)}, rows, c);
}

template void strided_copy(Gpu&, const Strided&, float*, const float*);
template void strided_copy(Gpu&, const Strided&, double*, const double*);
template void strided_copy(Gpu&, const Strided&, i64*, const i64*);
template void strided_copy(Gpu&, const Strided&, u8*, const u8*);
template void strided_copy(Gpu&, const Strided&, Bf16*, const Bf16*);
template void strided_copy(Gpu&, const Strided&, Bf16*, const float*);
template void strided_copy(Gpu&, const Strided&, float*, const Bf16*);
template void strided_copy(Gpu&, const Strided&, float*, const u8*);
template void strided_add(Gpu&, const Strided&, float*, const float*);
template void strided_add(Gpu&, const Strided&, double*, const double*);
template void strided_add(Gpu&, const Strided&, Bf16*, const Bf16*);
template void take_rows(Gpu&, i64, i64, const float*, const i64*, float*);
template void take_rows(Gpu&, i64, i64, const double*, const i64*, double*);
template void take_rows(Gpu&, i64, i64, const i64*, const i64*, i64*);
template void take_rows(Gpu&, i64, i64, const u8*, const i64*, u8*);
template void take_rows(Gpu&, i64, i64, const Bf16*, const i64*, Bf16*);
template void strided_fill(Gpu&, const Strided&, float*, float);
template void strided_fill(Gpu&, const Strided&, double*, double);
template void strided_fill(Gpu&, const Strided&, i64*, i64);
template void strided_fill(Gpu&, const Strided&, u8*, u8);
template void strided_fill(Gpu&, const Strided&, Bf16*, Bf16);
template void scale(Gpu&, i64, const float*, float, float*);
template void scale(Gpu&, i64, const Bf16*, float, Bf16*);
template void column_sum(Gpu&, i64, i64, const float*, float*);
template void column_sum(Gpu&, i64, i64, const Bf16*, float*);

}  // namespace offramp::cuda
