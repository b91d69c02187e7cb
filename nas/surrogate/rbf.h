// Radial basis functions: a cubic spline in many dimensions, phi(r) = r^3, plus a linear polynomial.
// Source: Powell 1992, "The theory of radial basis function approximation in 1990"; the defaults are pySOT's
// (Eriksson, Bindel & Shoemaker 2019): smoothing 1e-6 on the diagonal.
#pragma once
#include "nas/surrogate/regressor.h"

namespace offramp::nas {

struct RbfOptions {
  double smoothing = 1e-6;
  // Weight of the squared slopes of the polynomial, in units of the number of samples. Where samples
  // determine it, it changes nothing visible; where they do not (fewer samples than inputs, inputs that never
  // vary), it picks the smallest slopes.
  double tail_ridge = 1e-10;
};

class Rbf : public Regressor {
 public:
  explicit Rbf(const RbfOptions& options = {}) : options_(options) {}
  std::string_view name() const override { return "rbf"; }

 private:
  void learn(Exec& exec, const Matrix& x, std::span<const double> y, const Watch& watch) override;
  std::vector<Estimate> answer(Exec& exec, const Matrix& x, bool spread) const override;

  RbfOptions options_;
  Matrix centres_;
  std::vector<double> weights_, tail_;  // tail: one slope per input, then the constant
};

}  // namespace offramp::nas
