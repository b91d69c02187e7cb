#include "kernels/normed/normed_products.h"

#include <algorithm>

namespace offramp::kernels {

void add_outer(const TileEngine& engine, const NormedPasses& passes, const float* a, i64 a_row, i64 m,
               const float* b, i64 n, i64 rows, float* scratch, float* sum, bool accumulate, Next next) {
  const i64 start = 0, step = turned_row(rows);
  passes.transpose(a, a_row, rows, m, scratch, step);
  const float* columns[kMostRows];
  i64 c_off[kMostRows];
  for (i64 first = 0; first < m; first += kMostRows) {
    const i64 count = std::min(kMostRows, m - first);
    for (i64 i = 0; i < count; ++i) {
      columns[i] = scratch + (first + i) * step;
      c_off[i] = (first + i) * n;
    }
    engine.run({.m = count,
                .n = n,
                .a = columns,
                .a_k = 1,
                .a_seg = &start,
                .segs = 1,
                .seg_k = rows,
                .packed = false,
                .b = b,
                .b_seg = &start,
                .b_k = n,
                .c = sum,
                .c_off = c_off,
                .accumulate = accumulate,
                .bias = nullptr,
                .residual = nullptr,
                .act = Act::none,
                .next = next.data,
                .next_floats = first == 0 ? next.floats : 0});
  }
}

void multiply(const TileEngine& engine, const float* a, i64 rows, i64 k, const float* b, i64 b_k, i64 n,
              float* c, i64 c_row, const float* residual, const float* bias, Act act, Next next) {
  const i64 start = 0;
  const float* lines[kMostRows];
  i64 c_off[kMostRows];
  for (i64 first = 0; first < rows; first += kMostRows) {
    const i64 count = std::min(kMostRows, rows - first);
    for (i64 i = 0; i < count; ++i) {
      lines[i] = a + (first + i) * k;
      c_off[i] = (first + i) * c_row;
    }
    engine.run({.m = count,
                .n = n,
                .a = lines,
                .a_k = 1,
                .a_seg = &start,
                .segs = 1,
                .seg_k = k,
                .packed = false,
                .b = b,
                .b_seg = &start,
                .b_k = b_k,
                .c = c,
                .c_off = c_off,
                .accumulate = false,
                .bias = bias,
                .residual = residual,
                .act = act,
                .next = next.data,
                .next_floats = first == 0 ? next.floats : 0});
  }
}

}  // namespace offramp::kernels
