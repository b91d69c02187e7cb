// Dense linear systems of a few hundred unknowns. Source: Golub & Van Loan, Matrix Computations, 3.4 and 4.2.
#pragma once
#include <optional>
#include <vector>

#include "nas/surrogate/matrix.h"

namespace offramp::nas {

// a = u^T u of a symmetric positive definite matrix (its upper triangle is read).
class Cholesky {
 public:
  // Nothing when a pivot is not positive: the matrix is not (numerically) positive definite.
  static std::optional<Cholesky> of(Matrix a);

  // b has one value per row of the matrix.
  std::vector<double> solve(std::vector<double> b) const;  // a^-1 b
  std::vector<double> half(std::vector<double> b) const;   // u^-T b: its squares sum up to b^T a^-1 b
  double log_determinant() const;

 private:
  explicit Cholesky(Matrix u) : u_(std::move(u)) {}
  Matrix u_;  // the lower triangle is not used
};

// a = p l u of a square matrix, partial pivoting.
class Lu {
 public:
  // Nothing when the matrix is singular to working precision.
  static std::optional<Lu> of(Matrix a);
  std::vector<double> solve(const std::vector<double>& b) const;

 private:
  Lu(Matrix lu, std::vector<i64> order) : lu_(std::move(lu)), order_(std::move(order)) {}
  Matrix lu_;
  std::vector<i64> order_;  // row i of lu_ comes from row order_[i] of a
};

}  // namespace offramp::nas
