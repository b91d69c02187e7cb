// Numbers by row and column, in double precision: what surrogates are fitted to.
#pragma once
#include <algorithm>
#include <span>
#include <vector>

#include "kernels/types.h"

namespace offramp::nas {

struct Matrix {
  i64 rows = 0, cols = 0;
  std::vector<double> values;  // row by row

  Matrix() = default;
  Matrix(i64 rows_, i64 cols_, double fill = 0)
      : rows(rows_), cols(cols_), values(std::size_t(rows_ * cols_), fill) {}

  double* row(i64 i) { return values.data() + i * cols; }
  const double* row(i64 i) const { return values.data() + i * cols; }
  double& at(i64 i, i64 j) { return values[std::size_t(i * cols + j)]; }
  double at(i64 i, i64 j) const { return values[std::size_t(i * cols + j)]; }
};

// The given rows, in that order.
inline Matrix rows_of(const Matrix& m, std::span<const i64> rows) {
  Matrix out(i64(rows.size()), m.cols);
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::copy(m.row(rows[i]), m.row(rows[i]) + m.cols, out.row(i64(i)));
  return out;
}

// Squared Euclidean distance, in four interleaved sums: one chain of additions would be four times slower.
inline double squared_distance(const double* a, const double* b, i64 n) {
  double sum[4] = {0, 0, 0, 0};
  i64 i = 0;
  for (; i + 4 <= n; i += 4)
    for (int lane = 0; lane < 4; ++lane) {
      const double difference = a[i + lane] - b[i + lane];
      sum[lane] += difference * difference;
    }
  for (; i < n; ++i) sum[0] += (a[i] - b[i]) * (a[i] - b[i]);
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

}  // namespace offramp::nas
