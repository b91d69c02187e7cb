// What one warp multiplies: 16 x 8 fragments of C += A B, with operands in shared memory. Sums over k are
// taken in chunks: those of kChunk successive k from zero, then added in the order of the chunks. So whoever
// cuts a product along k and adds the chunks up afterwards gets the bits of the whole product, whatever tile
// it was made with: how many blocks work on a layer may depend on the batch, its results may not.
#pragma once
#include "kernels/cuda/vector.h"

namespace offramp::cuda {

// What operands are multiplied as.
struct AsBf16 {
  using Stored = Bf16;
};
struct AsTf32 {
  using Stored = float;
};
struct AsFloat {
  using Stored = float;
};

inline constexpr int kChunk = 32;

// Between rows of operands in shared memory, so that the accesses of a warp fall into different banks.
template <class Stored>
inline constexpr int kBankPad = sizeof(Stored) == 2 ? 8 : 4;

// Eight values as operands.
template <class Math>
__device__ __forceinline__ void store_operand(typename Math::Stored* to, Floats<8> v) {
  if constexpr (std::is_same_v<Math, AsTf32>) {
#pragma unroll
    for (int i = 0; i < 8; ++i) v.v[i] = __uint_as_float(to_tf32(v.v[i]));
  }
  store<8>(to, v);
}

// kM x kN fragments of a warp. A side is k-contiguous when its rows are m or n, otherwise its rows are k;
// row_a, row_b: elements between rows.
template <class Math, int kM, int kN, bool kAContiguous = true, bool kBContiguous = true>
struct Fragments {
  using Stored = typename Math::Stored;
  struct Sums {
    float v[kM][kN][4];  // of fragment i, j: see row() and column()
  };
  // Where element e of this lane's part of a fragment lies: row(e), column(e).
  __device__ __forceinline__ static int row(int e) { return int(threadIdx.x) % 32 / 4 + e / 2 * 8; }
  __device__ __forceinline__ static int column(int e) { return int(threadIdx.x) % 4 * 2 + e % 2; }

  __device__ __forceinline__ static void clear(Sums& sums) {
#pragma unroll
    for (int i = 0; i < kM; ++i)
#pragma unroll
      for (int j = 0; j < kN; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) sums.v[i][j][e] = 0;
  }

  // One chunk of k, of which `depth` are there, zeros behind them.
  __device__ __forceinline__ static void add_chunk(const Stored* a, int row_a, const Stored* b, int row_b,
                                                   int depth, Sums& sums) {
    chunk<false>(a, row_a, b, row_b, depth, sums);
  }
  // The first: sums = its part. (A part is never -0, so this is what adding it to zeros gives.)
  __device__ __forceinline__ static void set_chunk(const Stored* a, int row_a, const Stored* b, int row_b,
                                                   int depth, Sums& sums) {
    chunk<true>(a, row_a, b, row_b, depth, sums);
  }

 private:
  template <bool kFirst>
  __device__ __forceinline__ static void chunk(const Stored* a, int row_a, const Stored* b, int row_b,
                                               int depth, Sums& sums) {
    if constexpr (std::is_same_v<Math, AsBf16>)
      chunk_bf16<kFirst>(a, row_a, b, row_b, depth, sums);
    else
      chunk_floats<kFirst>(a, row_a, b, row_b, depth < kChunk ? depth : kChunk, sums);
  }
  template <bool kFirst>
  __device__ __forceinline__ static void chunk_bf16(const Stored* a, int row_a, const Stored* b, int row_b,
                                                    int depth, Sums& sums) {
    const int lane = int(threadIdx.x) % 32;
    u32 fa[kM][2][4];
#pragma unroll
    for (int i = 0; i < kM; ++i)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int k = half * 16;
        if constexpr (kAContiguous)
          ldmatrix_x4(fa[i][half], a + (i * 16 + lane % 16) * row_a + k + lane / 16 * 8);
        else
          ldmatrix_x4_transposed(fa[i][half],
                                 a + (k + lane / 16 * 8 + lane % 8) * row_a + i * 16 + lane / 8 % 2 * 8);
      }
#pragma unroll
    for (int j = 0; j < kN; ++j) {
      u32 fb[4];  // both halves
      if constexpr (kBContiguous)
        ldmatrix_x4(fb, b + (j * 8 + lane % 8) * row_b + lane / 8 * 8);
      else
        ldmatrix_x4_transposed(fb, b + lane * row_b + j * 8);
      const u32 first[2] = {fb[0], fb[1]}, second[2] = {fb[2], fb[3]};
#pragma unroll
      for (int i = 0; i < kM; ++i) {
        float part[4];
        mma_bf16_first(part, fa[i][0], first);
        if (depth > 16) mma_bf16(part, fa[i][1], second);
#pragma unroll
        for (int e = 0; e < 4; ++e) sums.v[i][j][e] = kFirst ? part[e] : sums.v[i][j][e] + part[e];
      }
    }
  }

  template <bool kFirst>
  __device__ __forceinline__ static void chunk_floats(const Stored* a, int row_a, const Stored* b, int row_b,
                                                      int depth, Sums& sums) {
    const int lane = int(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
    const auto at_a = [&](int row, int k) { return kAContiguous ? a[row * row_a + k] : a[k * row_a + row]; };
    const auto at_b = [&](int col, int k) { return kBContiguous ? b[col * row_b + k] : b[k * row_b + col]; };
    Sums part;
    clear(part);
    if constexpr (std::is_same_v<Math, AsTf32>) {
#pragma unroll 2
      for (int k = 0; k < depth; k += 8) {
        u32 fa[kM][4], fb[kN][2];
#pragma unroll
        for (int i = 0; i < kM; ++i)
#pragma unroll
          for (int e = 0; e < 4; ++e)
            fa[i][e] = __float_as_uint(at_a(i * 16 + g + e % 2 * 8, k + t + e / 2 * 4));
#pragma unroll
        for (int j = 0; j < kN; ++j)
#pragma unroll
          for (int e = 0; e < 2; ++e) fb[j][e] = __float_as_uint(at_b(j * 8 + g, k + t + e * 4));
#pragma unroll
        for (int i = 0; i < kM; ++i)
#pragma unroll
          for (int j = 0; j < kN; ++j) mma_tf32(part.v[i][j], fa[i], fb[j]);
      }
    } else {
      // The same results in the same places, by the ordinary units.
#pragma unroll 4
      for (int k = 0; k < depth; ++k) {
        float va[kM][2], vb[kN][2];
#pragma unroll
        for (int i = 0; i < kM; ++i)
#pragma unroll
          for (int h = 0; h < 2; ++h) va[i][h] = at_a(i * 16 + g + h * 8, k);
#pragma unroll
        for (int j = 0; j < kN; ++j)
#pragma unroll
          for (int h = 0; h < 2; ++h) vb[j][h] = at_b(j * 8 + 2 * t + h, k);
#pragma unroll
        for (int i = 0; i < kM; ++i)
#pragma unroll
          for (int j = 0; j < kN; ++j)
#pragma unroll
            for (int e = 0; e < 4; ++e) part.v[i][j][e] = fmaf(va[i][e / 2], vb[j][e % 2], part.v[i][j][e]);
      }
    }
#pragma unroll
    for (int i = 0; i < kM; ++i)
#pragma unroll
      for (int j = 0; j < kN; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          sums.v[i][j][e] = kFirst ? part.v[i][j][e] : sums.v[i][j][e] + part.v[i][j][e];
  }
};

}  // namespace offramp::cuda
