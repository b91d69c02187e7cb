// The matrix products of the pointwise doors, and what those with few rows share with the others.
#pragma once
#include "kernels/gemm/tile_engine.h"
#include "kernels/normed/normed_parts.h"

namespace offramp::kernels {

constexpr i64 kMostRows = 256;  // of a unit
// Work is cut into a multiple of so many about equal parts, so that threads get equal shares.
constexpr i64 kShares = 4;

// Floats from a column of a turned tile to the next.
constexpr i64 turned_row(i64 rows) { return round_up(rows, 16) + 16; }

// Memory to be read behind a product, asked for meanwhile.
struct Next {
  const float* data = nullptr;
  i64 floats = 0;
};
// `rows` rows from `row` on of p [rows][c], which may be null.
inline Next next_rows(const float* p, i64 c, i64 row, i64 rows) {
  return p ? Next{p + row * c, rows * c} : Next{};
}

// sum [m][n] (+)= a^T b over `rows` rows of a [rows][a_row], m columns of it, and b [rows][n]. a is turned in
// `scratch`, m * turned_row(rows) floats: a tile of sums then reads eight streams instead of a new line of a
// in every step.
void add_outer(const TileEngine& engine, const NormedPasses& passes, const float* a, i64 a_row, i64 m,
               const float* b, i64 n, i64 rows, float* scratch, float* sum, bool accumulate, Next next = {});

// c [rows][columns of `c`, c_row apart] = a [rows][k] * b [k][n], b_k apart, for n columns.
void multiply(const TileEngine& engine, const float* a, i64 rows, i64 k, const float* b, i64 b_k, i64 n,
              float* c, i64 c_row, const float* residual, const float* bias = nullptr, Act act = Act::none,
              Next next = {});

// Few rows and weights that outweigh them (the end of a network): the work is cut by output columns, not by
// rows, so that weights are read once, gradients of weights need no partial sums, and there is something to
// share among threads.
bool few_rows(const NormedDims& d);
void forward_by_columns(Exec& exec, const TileEngine& engine, const NormedPasses& passes,
                        const NormedPointwiseCall& call);
void gradients_by_columns(Exec& exec, const TileEngine& engine, const NormedPasses& passes,
                          const NormedPointwiseGradCall& call);

}  // namespace offramp::kernels
