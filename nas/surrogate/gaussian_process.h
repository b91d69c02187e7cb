// Kriging with a Gaussian correlation exp(-theta d^2) of standardised inputs, one theta for all of them, and
// a nugget for the noise of the values. theta and nugget maximise the likelihood, from which mean and
// variance are eliminated. Source: Sacks et al. 1989; Lophaven, Nielsen & Sondergaard 2002 (DACE).
#pragma once
#include <optional>

#include "nas/surrogate/regressor.h"
#include "nas/surrogate/solve.h"

namespace offramp::nas {

struct GaussianProcessOptions {
  enum class Trend { constant, linear } trend = Trend::constant;  // linear: if there are samples enough
  // Given: not fitted. In [1e-5, 100] and [1e-8, 1], which are also the borders of the fit.
  std::optional<double> theta, nugget;
};

class GaussianProcess : public Regressor {
 public:
  // Throws Error(usage) when theta or nugget is out of range.
  explicit GaussianProcess(const GaussianProcessOptions& options = {});
  std::string_view name() const override { return "gp"; }

  // Of the last fit.
  double theta() const { return theta_; }
  double nugget() const { return nugget_; }  // in units of the process variance
  // n log(variance) + log det(correlation) of the standardised values: what the fit minimises.
  double criterion() const { return criterion_; }

 private:
  struct Likelihood;
  void learn(Exec& exec, const Matrix& x, std::span<const double> y, const Watch& watch) override;
  std::vector<Estimate> answer(Exec& exec, const Matrix& x, bool spread) const override;
  Matrix standardised(const Matrix& x) const;
  Matrix trend_of(const Matrix& z) const;

  GaussianProcessOptions options_;
  std::vector<double> centre_, scale_;  // of the inputs; scale 0: an input that never varied
  bool linear_ = false;
  Matrix samples_;  // standardised
  double theta_ = 0, nugget_ = 0, criterion_ = 0;
  double mean_y_ = 0, scale_y_ = 1, variance_ = 0;  // variance: of the process, in units of scale_y_^2
  std::vector<double> slopes_, weights_;
  std::optional<Cholesky> correlation_, trend_normal_;
  std::vector<std::vector<double>> trend_half_;  // u^-T times each column of the trend
};

}  // namespace offramp::nas
