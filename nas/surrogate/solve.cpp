#include "nas/surrogate/solve.h"

#include <cmath>
#include <limits>
#include <numeric>

namespace offramp::nas {

// Updates whole rows behind the pivot: the inner loop runs along memory and over independent sums.
std::optional<Cholesky> Cholesky::of(Matrix a) {
  const i64 n = a.rows;
  for (i64 k = 0; k < n; ++k) {
    double* pivot = a.row(k);
    if (!(pivot[k] > 0) || !std::isfinite(pivot[k])) return std::nullopt;
    const double root = std::sqrt(pivot[k]), inverse = 1 / root;
    pivot[k] = root;
    for (i64 j = k + 1; j < n; ++j) pivot[j] *= inverse;
    for (i64 i = k + 1; i < n; ++i) {
      double* row = a.row(i);
      const double factor = pivot[i];
      for (i64 j = i; j < n; ++j) row[j] -= factor * pivot[j];
    }
  }
  return Cholesky(std::move(a));
}

std::vector<double> Cholesky::half(std::vector<double> b) const {
  const i64 n = u_.rows;
  for (i64 k = 0; k < n; ++k) {
    const double* row = u_.row(k);
    const double value = b[std::size_t(k)] /= row[k];
    for (i64 j = k + 1; j < n; ++j) b[std::size_t(j)] -= value * row[j];
  }
  return b;
}

std::vector<double> Cholesky::solve(std::vector<double> b) const {
  b = half(std::move(b));
  for (i64 k = u_.rows; k-- > 0;) {
    const double* row = u_.row(k);
    double sum = b[std::size_t(k)];
    for (i64 j = k + 1; j < u_.rows; ++j) sum -= row[j] * b[std::size_t(j)];
    b[std::size_t(k)] = sum / row[k];
  }
  return b;
}

double Cholesky::log_determinant() const {
  double sum = 0;
  for (i64 k = 0; k < u_.rows; ++k) sum += std::log(u_.at(k, k));
  return 2 * sum;
}

std::optional<Lu> Lu::of(Matrix a) {
  const i64 n = a.rows;
  double largest = 0;
  for (double v : a.values) largest = std::max(largest, std::abs(v));
  const double tiny = largest * double(n) * std::numeric_limits<double>::epsilon() * 1e-3;
  std::vector<i64> order(std::size_t(n), 0);
  std::iota(order.begin(), order.end(), i64{0});
  for (i64 k = 0; k < n; ++k) {
    i64 best = k;
    for (i64 i = k + 1; i < n; ++i)
      if (std::abs(a.at(i, k)) > std::abs(a.at(best, k))) best = i;
    if (!(std::abs(a.at(best, k)) > tiny)) return std::nullopt;
    if (best != k) {
      std::swap_ranges(a.row(k), a.row(k) + n, a.row(best));
      std::swap(order[std::size_t(k)], order[std::size_t(best)]);
    }
    const double* pivot = a.row(k);
    const double inverse = 1 / pivot[k];
    for (i64 i = k + 1; i < n; ++i) {
      double* row = a.row(i);
      const double factor = row[k] *= inverse;
      for (i64 j = k + 1; j < n; ++j) row[j] -= factor * pivot[j];
    }
  }
  return Lu(std::move(a), std::move(order));
}

std::vector<double> Lu::solve(const std::vector<double>& b) const {
  const i64 n = lu_.rows;
  std::vector<double> x(static_cast<std::size_t>(n));
  for (i64 i = 0; i < n; ++i) {
    double sum = b[std::size_t(order_[std::size_t(i)])];
    const double* row = lu_.row(i);
    for (i64 j = 0; j < i; ++j) sum -= row[j] * x[std::size_t(j)];
    x[std::size_t(i)] = sum;
  }
  for (i64 i = n; i-- > 0;) {
    double sum = x[std::size_t(i)];
    const double* row = lu_.row(i);
    for (i64 j = i + 1; j < n; ++j) sum -= row[j] * x[std::size_t(j)];
    x[std::size_t(i)] = sum / row[i];
  }
  return x;
}

}  // namespace offramp::nas
