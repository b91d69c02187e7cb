// Products of few rows, where nothing but the weights is large: a block takes 16 rows and eight columns, its
// warps take the chunks of k. So many blocks ask for weights at once, and none walks along k. Chunks are
// added in their order (fragments.h): the same bits as any tile gives.
#pragma once
#include "kernels/cuda/gemm_sides.h"
#include "kernels/cuda/gemm_tile.h"
#include "kernels/exec.h"

namespace offramp::kernels::cuda {

template <class Math>
struct FewRows {
  using Stored = typename Math::Stored;
  using Warp = Fragments<Math, 1, 1>;
  static constexpr int kRows = 16, kColumns = 8, kWarps = 8, kThreads = 32 * kWarps;
  static constexpr int kRow = kChunk + kBankPad<Stored>;
  static constexpr int kOperands = (kRows + kColumns) * kRow;  // of one chunk
  static constexpr int kAhead = 2;                             // chunks that a warp asks for at once
  static constexpr i64 kMostChunks = 256;
  static i64 shared_bytes(i64 chunks) {
    return i64(kWarps) * kOperands * i64(sizeof(Stored)) + 4 * (chunks + 1) * kRows * kColumns;
  }
};

template <class Math, class A, class B, class Epilogue>
__global__ void __launch_bounds__(FewRows<Math>::kThreads)
    product_few_rows(A a, B b, Epilogue epilogue, int m, int n, int k, LiveRows live) {
  using Few = FewRows<Math>;
  using Warp = typename Few::Warp;
  constexpr int kTile = Few::kRows * Few::kColumns, kRow = Few::kRow;
  const int m0 = int(blockIdx.x) * Few::kRows, n0 = int(blockIdx.y) * Few::kColumns;
  if (live.beyond(m0)) return;
  const int t = int(threadIdx.x), warp = t / 32, lane = t % 32, chunks = (k + kChunk - 1) / kChunk;
  float* const parts = dynamic_shared<float>();  // [chunks][16][8], then the results
  float* const results = parts + chunks * kTile;
  auto* const mine_a = reinterpret_cast<typename Few::Stored*>(results + kTile) + warp * Few::kOperands;
  auto* const mine_b = mine_a + Few::kRows * kRow;
  // The first 16 threads finish a row each; what they need beside the sum is on its way meanwhile.
  const int count = t < Few::kRows && m0 + t < m ? lanes_in(n0, n) : 0;
  typename Epilogue::Raw beside;
  if (t < Few::kRows) beside = epilogue.fetch(m0 + t, n0, count);

  const int row = lane / 4, c = lane % 4 * 8;
  for (int first = warp; first < chunks; first += Few::kAhead * Few::kWarps) {
    typename A::Raw raw_a[Few::kAhead][2];
    typename B::Raw raw_b[Few::kAhead];
#pragma unroll
    for (int i = 0; i < Few::kAhead; ++i) {
      const int at = (first + i * Few::kWarps) * kChunk + c;  // beyond k: zeros
      raw_a[i][0] = a.fetch(m0 + row, at), raw_a[i][1] = a.fetch(m0 + row + 8, at);
      raw_b[i] = b.fetch(n0 + row, at);
    }
#pragma unroll
    for (int i = 0; i < Few::kAhead; ++i) {
      const int chunk = first + i * Few::kWarps;
      if (chunk >= chunks) break;
      store_operand<Math>(mine_a + row * kRow + c, a.finish(raw_a[i][0], nullptr, 0));
      store_operand<Math>(mine_a + (row + 8) * kRow + c, a.finish(raw_a[i][1], nullptr, 0));
      store_operand<Math>(mine_b + row * kRow + c, b.finish(raw_b[i], nullptr, 0));
      __syncwarp();
      typename Warp::Sums sums;
      Warp::set_chunk(mine_a, kRow, mine_b, kRow, k - chunk * kChunk, sums);
#pragma unroll
      for (int e = 0; e < 4; ++e)
        parts[chunk * kTile + Warp::row(e) * Few::kColumns + Warp::column(e)] = sums.v[0][0][e];
      __syncwarp();
    }
  }
  __syncthreads();
  if (t < kTile) {
    float sum = 0;
#pragma unroll 8
    for (int chunk = 0; chunk < chunks; ++chunk) sum += parts[chunk * kTile + t];
    results[t] = sum;
  }
  __syncthreads();
  if (count > 0) {
    typename Epilogue::State state;
    epilogue.apply(state, epilogue.column(n0, count), beside, m0 + t, n0, count, load<8>(results + t * 8));
  }
}

// Whether the rows are few: all blocks find room on the card at once, and the sums of their chunks in a
// block.
template <class Math>
bool are_few_rows(const Gpu& gpu, i64 m, i64 n, i64 k) {
  using Few = FewRows<Math>;
  return ceil_div(m, Few::kRows) * ceil_div(n, Few::kColumns) <= 2 * i64(gpu.properties().multiprocessors) &&
         ceil_div(k, kChunk) <= Few::kMostChunks;
}

// Sides without parameters of channels, k-contiguous; epilogues without sums.
template <class Math, class A, class B, class Epilogue>
void launch_few_rows(Gpu& gpu, const char* op, const A& a, const B& b, const Epilogue& epilogue, i64 m, i64 n,
                     i64 k) {
  using Few = FewRows<Math>;
  static_assert(A::kParameters == 0 && B::kParameters == 0 && Epilogue::kFields == 0);
  launch(gpu,
         {.op = op,
          .grid = ceil_div(m, Few::kRows),
          .block = Few::kThreads,
          .shared = Few::shared_bytes(ceil_div(k, kChunk)),
          .grid_y = ceil_div(n, Few::kColumns)},
         product_few_rows<Math, A, B, Epilogue>, a, b, epilogue, int(m), int(n), int(k), live_rows(gpu, m));
}

}  // namespace offramp::kernels::cuda
