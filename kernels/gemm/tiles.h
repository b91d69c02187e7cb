// The engine below gemm and conv2d: an indirect matrix product over register tiles, one per target.
// Rows of A and C are reached through pointers and offsets, and the sum runs over segments of A, so that a
// convolution multiplies image pixels where they lie instead of copying every kernel window (im2col).
// Source: Dukhan 2019, "The indirect convolution algorithm", with segments in place of one pointer per tap.
// Structs and declarations only: the target files include this.
#pragma once
#include "kernels/types.h"

namespace offramp::kernels {

// For i < m, j < n:  sum = bias[j] + (accumulate ? c[i][j] : 0), then in this order for s < segs, p < seg_k
//   sum = fma(a[i][a_seg[s] + p * a_k], b[s][p][j], sum),
// and c[i][j] = act(sum + residual[i][j]) with c[i] = c + c_off[i], residual likewise.
// An element's bits depend on nothing but its own operands.
struct TileCall {
  i64 m, n;
  const float* const* a;
  i64 a_k;
  const i64* a_seg;
  i64 segs, seg_k;

  // Packed (tile_pack's layout), or as it lies: b[s][p][j] = b[b_seg[s] + p * b_k + j].
  bool packed;
  bool pairs = false;  // packed so
  const float* b;
  const i64* b_seg;  // as it lies only
  i64 b_k;

  float* c;
  const i64* c_off;
  bool accumulate;
  const float* bias;      // or null
  const float* residual;  // or null
  Act act;

  // Panels of columns [first_panel, end_panel) alone, of ceil(n / columns); end 0: all. Packed only.
  i64 first_panel = 0, end_panel = 0;

  // What the caller reads next, asked for on the way where b lies as it lies.
  const float* next = nullptr;
  i64 next_floats = 0;
};

// Packs b[s][p][j] = b[b_seg[s] + p * b_k + j * b_col] into panels [panel][s][p][width of the panel]; columns
// are filled up with zeros to the vector width. Needs segs * seg_k * (n rounded up to the vector width)
// floats.
// pairs, where the last columns fill at most half a vector (else it changes nothing): those columns take two
// values of p at once, b[p][j] and b[p + 1][j] side by side, after both rows of the panel's other columns.
// Their sums over even and odd p are added at the end, then the bias. For one segment.
struct TilePack {
  i64 n, b_col, b_k;
  const i64* b_seg;
  i64 segs, seg_k;
  const float* b;
  float* packed;
  bool pairs = false;
};

struct TileEngine {
  i64 width;                     // of a vector
  i64 columns;                   // of a full panel; n columns are ceil(n / columns) panels
  void (*run)(const TileCall&);  // single-threaded
  void (*pack)(const TilePack&);
  void (*add)(float* sum, const float* x, i64 count);  // sum += x
};

extern const TileEngine tile_engine_portable, tile_engine_avx2, tile_engine_avx512;

}  // namespace offramp::kernels
