// The passes over a tile that the normed family is made of, one set per target: structs and declarations
// only, so target files may include it. All work on `rows` rows of c channels in one thread. Rows of x, y, dz
// and residual lie `step` floats apart; a tile in scratch has a row distance and a distance from vector to
// vector of channels: (c, width) when it is [rows][c], (width, rows * width) when each vector of channels is
// a tile of its own, whose last vector is then filled up.
#pragma once
#include "kernels/types.h"

namespace offramp::kernels {

// Channel ch of a row lies at ch / block * step + ch % block; [rows][c]: one block of c channels.
struct NormedLayout {
  i64 row, block, step;
};

struct NormedRead {  // out = act((x - mean) * scale + beta), as it is when mean is null
  i64 c, step;
  const float *x, *mean, *scale, *beta;
  Act act;
  const float* gate;  // [c] of the first row's sample, or null
  i64 hw, row;        // rows of a sample; which of them the first row is
  const float* residual;
  float* out;
  NormedLayout out_at;
};

struct NormedForm {  // out = (scale * dz - of_mean) - (y - mean) * of_var
  i64 c, step;
  const float *dz, *y, *mean, *scale, *of_mean, *of_var;
  float* out;
  NormedLayout out_at;
};

struct NormedSlope {  // dz = (g * gate + shift_factor * shift) * act'(d * scale + beta), d = x - mean; sums
                      // of dz and dz * d, added to what is there where `accumulate`
  i64 c, step;
  const float* g;
  NormedLayout g_at;
  const float *x, *mean, *scale, *beta;
  Act act;
  const float *gate, *shift;  // [c] or null
  float shift_factor;         // times which shift counts
  float* dz;                  // or null
  float *sum, *sum_with_d;
  bool accumulate = false;
};

struct NormedTile {  // y = tile + residual (may be null); or y = tile, with the sums of norm_rows.h
  i64 c, step;
  const float* tile;
  NormedLayout tile_at;
  const float* residual;
  float* y;
  float *sum, *squares;
  // The row of y whose values are subtracted; the sums are then added to those that are there. Null: the
  // first row of the tile, and new sums.
  const float* origin = nullptr;
};

struct NormedFold {  // out[c] = factor * sum of act((x - mean) * scale + beta) [* g]
  i64 c;
  const float *g, *x, *mean, *scale, *beta;
  Act act;
  float factor;
  float* out;
};

// From sums of chunks to mean, variance and scale. `partial` holds, for each chunk of `chunk` rows, the sums
// and the squares of deviations from the chunk's first row of y.
struct NormedMoments {
  i64 rows, c, chunk;
  const float *y, *partial, *gamma;
  float eps;
  float *mean, *var, *scale;
};

// From sums of chunks to what NormGradOut holds. `partial` holds, for each chunk, the sums of dz and of dz *
// d.
struct NormedSums {
  i64 rows, c, chunks;
  const float *partial, *scale, *var;
  float eps;
  float *ggamma, *gbeta, *of_mean, *of_var;
};

struct NormedPasses {
  void (*read)(const NormedRead&, i64 rows);
  void (*form)(const NormedForm&, i64 rows);
  void (*slope)(const NormedSlope&, i64 rows);
  void (*store)(const NormedTile&, i64 rows);
  void (*store_statistics)(const NormedTile&, i64 rows);
  void (*fold)(const NormedFold&, i64 rows);
  // Channels [begin, end); chunks are added in their order, in double.
  void (*moments)(const NormedMoments&, i64 begin, i64 end);
  void (*sums)(const NormedSums&, i64 begin, i64 end);
  // to[col * to_row + row] = from[row * from_row + col]
  void (*transpose)(const float* from, i64 from_row, i64 rows, i64 cols, float* to, i64 to_row);
};
extern const NormedPasses normed_passes_portable, normed_passes_avx2, normed_passes_avx512;

}  // namespace offramp::kernels
