// The best of several models, chosen anew at every fit: k-fold cross-validation, largest mean minus standard
// deviation of Kendall's tau over the folds. Source: Lu et al. 2020 (NSGANetV2, adaptive switching).
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "nas/surrogate/regressor.h"

namespace offramp::nas {

using MakeRegressor = std::function<std::unique_ptr<Regressor>()>;

// How well one model orders samples that it has not seen.
struct CrossValidation {
  std::string name;
  std::vector<double> taus;  // per fold; 0 where the model or the samples tell no pair apart

  double mean() const;
  double deviation() const;
  double score() const { return mean() - deviation(); }
};

// `folds` parts of nearly equal size, drawn by `seed`; the same for every model. Models that throw on a fold
// count as 0 there. Throws Error(usage) unless there are two folds or more with two samples or more each,
// Error(interrupted) when `watch` wants to stop.
std::vector<CrossValidation> cross_validate(Exec& exec, const std::vector<MakeRegressor>& models,
                                            const Matrix& x, std::span<const double> y, i64 folds, u64 seed,
                                            const Watch& watch = {});

struct AdaptiveOptions {
  i64 folds = 10;  // fewer where a fold would hold less than three samples
  u64 seed = 0;
};

class Adaptive : public Regressor {
 public:
  // Throws Error(usage) without models or with less than two folds.
  Adaptive(std::vector<MakeRegressor> models, const AdaptiveOptions& options = {});
  std::string_view name() const override { return "as"; }

  // Of the last fit.
  const Regressor& chosen() const { return *chosen_; }
  const std::vector<CrossValidation>& validation() const {
    return validation_;
  }  // in the order of the models

 private:
  void learn(Exec& exec, const Matrix& x, std::span<const double> y, const Watch& watch) override;
  std::vector<Estimate> answer(Exec& exec, const Matrix& x, bool spread) const override;

  std::vector<MakeRegressor> models_;
  AdaptiveOptions options_;
  std::unique_ptr<Regressor> chosen_;
  std::vector<CrossValidation> validation_;
};

}  // namespace offramp::nas
