// Samples that the tests of surrogates share.
#pragma once
#include <cmath>

#include "kernels/rng.h"
#include "nas/surrogate/matrix.h"

namespace offramp::nas {

inline Matrix matrix_of(const std::vector<double>& values, i64 cols) {
  Matrix m(i64(values.size()) / cols, cols);
  m.values = values;
  return m;
}

inline Matrix random_inputs(i64 rows, i64 cols, u64 seed, u32 levels = 3) {
  Matrix x(rows, cols);
  Rng rng(seed);
  for (double& v : x.values) v = double(rng.below(levels)) / double(levels - 1);
  return x;
}

// A sum over all inputs, a few of them by pairs, plus noise.
inline std::vector<double> smooth_values(const Matrix& x, double noise, u64 seed) {
  Rng rng(seed, 1);
  std::vector<double> y;
  for (i64 i = 0; i < x.rows; ++i) {
    double sum = 0;
    for (i64 j = 0; j < x.cols; ++j) sum += x.at(i, j) / double(1 + j);
    for (i64 j = 0; j + 1 < x.cols; j += 3) sum += 0.5 * x.at(i, j) * x.at(i, j + 1);
    y.push_back(sum + noise * (rng.uniform() - 0.5));
  }
  return y;
}

}  // namespace offramp::nas
