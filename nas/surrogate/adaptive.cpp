#include "nas/surrogate/adaptive.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/error.h"
#include "kernels/rng.h"
#include "nas/surrogate/kendall.h"
#include "nas/surrogate/tasks.h"

namespace offramp::nas {
namespace {

constexpr i64 kLeastFold = 3;  // samples

double tau_of(Exec& exec, const MakeRegressor& make, const Matrix& x, std::span<const double> y,
              std::span<const i64> train, std::span<const i64> held, const Watch& watch) {
  std::vector<double> seen, truth;
  for (i64 i : train) seen.push_back(y[std::size_t(i)]);
  for (i64 i : held) truth.push_back(y[std::size_t(i)]);
  const std::unique_ptr<Regressor> model = make();
  try {
    model->fit(exec, rows_of(x, train), seen, watch);
    const double tau = rank_agreement(means(model->predict(exec, rows_of(x, held), false)), truth).tau();
    return std::isfinite(tau) ? tau : 0;
  } catch (const Error& e) {
    if (e.kind() == Error::Kind::interrupted) throw;
    return 0;
  }
}

}  // namespace

double CrossValidation::mean() const {
  return std::accumulate(taus.begin(), taus.end(), 0.0) / double(taus.size());
}

double CrossValidation::deviation() const {
  const double m = mean();
  double squares = 0;
  for (double t : taus) squares += (t - m) * (t - m);
  return std::sqrt(squares / double(taus.size()));
}

std::vector<CrossValidation> cross_validate(Exec& exec, const std::vector<MakeRegressor>& models,
                                            const Matrix& x, std::span<const double> y, i64 folds, u64 seed,
                                            const Watch& watch) {
  if (folds < 2 || x.rows < 2 * folds || i64(y.size()) != x.rows)
    throw usage_error("cross-validation: two folds or more of two samples or more wanted, got " +
                      std::to_string(folds) + " folds, " + std::to_string(x.rows) + " samples and " +
                      std::to_string(y.size()) + " values");
  std::vector<i64> order(static_cast<std::size_t>(x.rows));
  std::iota(order.begin(), order.end(), i64{0});
  Rng rng = Rng(seed);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(u32(i))]);
  const i64 count = i64(models.size());
  std::vector<double> taus(std::size_t(count * folds));
  run_tasks(exec, count * folds, [&](i64 task, Exec& inner) {
    const i64 fold = task / count, begin = fold * x.rows / folds, end = (fold + 1) * x.rows / folds;
    std::vector<i64> train(order.begin(), order.begin() + begin);
    train.insert(train.end(), order.begin() + end, order.end());
    const std::vector<i64> held(order.begin() + begin, order.begin() + end);
    taus[std::size_t(task)] = tau_of(inner, models[std::size_t(task % count)], x, y, train, held, watch);
  });
  std::vector<CrossValidation> out;
  for (i64 model = 0; model < count; ++model) {
    out.push_back({std::string(models[std::size_t(model)]()->name()), {}});
    for (i64 fold = 0; fold < folds; ++fold)
      out.back().taus.push_back(taus[std::size_t(fold * count + model)]);
  }
  return out;
}

Adaptive::Adaptive(std::vector<MakeRegressor> models, const AdaptiveOptions& options)
    : models_(std::move(models)), options_(options) {
  if (models_.empty() || options_.folds < 2)
    throw usage_error("surrogate as: at least one model and two folds wanted, got " +
                      std::to_string(models_.size()) + " and " + std::to_string(options_.folds));
}

void Adaptive::learn(Exec& exec, const Matrix& x, std::span<const double> y, const Watch& watch) {
  const i64 folds = std::min(options_.folds, x.rows / kLeastFold);
  validation_.clear();
  std::size_t best = 0;  // too few samples to compare: the first model
  if (folds >= 2) {
    validation_ = cross_validate(exec, models_, x, y, folds, options_.seed, watch);
    for (std::size_t i = 1; i < validation_.size(); ++i)
      if (validation_[i].score() > validation_[best].score()) best = i;
  }
  chosen_ = models_[best]();
  chosen_->fit(exec, x, y, watch);
}

std::vector<Estimate> Adaptive::answer(Exec& exec, const Matrix& x, bool spread) const {
  return chosen_->predict(exec, x, spread);
}

}  // namespace offramp::nas
