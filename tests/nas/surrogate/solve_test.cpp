#include "nas/surrogate/solve.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/rng.h"

namespace offramp::nas {
namespace {

Matrix random_matrix(i64 rows, i64 cols, u64 seed) {
  Matrix m(rows, cols);
  Rng rng(seed);
  for (double& v : m.values) v = rng.uniform(-1, 1);
  return m;
}

std::vector<double> times(const Matrix& a, const std::vector<double>& x) {
  std::vector<double> y(std::size_t(a.rows), 0);
  for (i64 i = 0; i < a.rows; ++i)
    for (i64 j = 0; j < a.cols; ++j) y[std::size_t(i)] += a.at(i, j) * x[std::size_t(j)];
  return y;
}

TEST(Solve, LuSolvesWhatNeedsPivoting) {
  for (i64 n : {1, 2, 3, 17, 60}) {
    Matrix a = random_matrix(n, n, u64(n));
    if (n > 1) a.at(0, 0) = 0;  // no pivot without an exchange
    std::vector<double> want;
    for (i64 i = 0; i < n; ++i) want.push_back(double(i) - 3);
    const auto lu = Lu::of(a);
    ASSERT_TRUE(lu);
    const std::vector<double> got = lu->solve(times(a, want));
    for (i64 i = 0; i < n; ++i) EXPECT_NEAR(got[std::size_t(i)], want[std::size_t(i)], 1e-10) << n;
  }
}

TEST(Solve, LuRefusesSingularMatrices) {
  Matrix a = random_matrix(5, 5, 3);
  std::copy(a.row(1), a.row(1) + 5, a.row(4));
  EXPECT_FALSE(Lu::of(a));
  EXPECT_FALSE(Lu::of(Matrix(3, 3)));
}

TEST(Solve, CholeskySolvesAndKnowsTheDeterminant) {
  for (i64 n : {1, 2, 5, 40}) {
    const Matrix b = random_matrix(n, n + 3, u64(n));
    Matrix a(n, n);
    for (i64 i = 0; i < n; ++i)
      for (i64 j = 0; j < n; ++j)
        for (i64 k = 0; k < b.cols; ++k) a.at(i, j) += b.at(i, k) * b.at(j, k);
    std::vector<double> want;
    for (i64 i = 0; i < n; ++i) want.push_back(1 + 0.5 * double(i));
    const std::vector<double> right = times(a, want);
    const auto cholesky = Cholesky::of(a);
    ASSERT_TRUE(cholesky);
    const std::vector<double> got = cholesky->solve(right), half = cholesky->half(right);
    double form = 0, squares = 0;
    for (i64 i = 0; i < n; ++i) {
      EXPECT_NEAR(got[std::size_t(i)], want[std::size_t(i)], 1e-8 * (1 + want[std::size_t(i)])) << n;
      form += right[std::size_t(i)] * want[std::size_t(i)];
      squares += half[std::size_t(i)] * half[std::size_t(i)];
    }
    EXPECT_NEAR(squares, form, 1e-9 * form);
  }
  Matrix two(2, 2);
  two.values = {4, 2, 2, 3};
  EXPECT_NEAR(Cholesky::of(two)->log_determinant(), std::log(8.0), 1e-15);
}

TEST(Solve, CholeskyRefusesIndefiniteMatrices) {
  Matrix a(2, 2);
  a.values = {1, 2, 2, 1};
  EXPECT_FALSE(Cholesky::of(a));
  a.values = {1, std::nan(""), std::nan(""), 1};
  EXPECT_FALSE(Cholesky::of(a));
}

}  // namespace
}  // namespace offramp::nas
