#include "nas/surrogate/gaussian_process.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/error.h"
#include "kernels/parallel.h"

namespace offramp::nas {
namespace {

// log10 of the borders.
constexpr double kThetaLow = -5, kThetaHigh = 2, kNuggetLow = -8, kNuggetHigh = 0;
constexpr double kFirstNugget = -2;                     // while theta is looked for
constexpr double kFirstStep = 0.5, kLastStep = 0.0625;  // decades

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

std::vector<double> column(const Matrix& m, i64 j) {
  std::vector<double> out(static_cast<std::size_t>(m.rows));
  for (i64 i = 0; i < m.rows; ++i) out[std::size_t(i)] = m.at(i, j);
  return out;
}

void require_between(const char* name, const std::optional<double>& value, double low, double high) {
  if (value && !(*value >= std::pow(10, low) && *value <= std::pow(10, high)))
    throw usage_error("surrogate gp: " + std::string(name) + " is " + std::to_string(*value) + "; wanted 1e" +
                      std::to_string(int(low)) + " to 1e" + std::to_string(int(high)));
}

}  // namespace

// Everything that one pair (theta, nugget) says about the samples.
struct GaussianProcess::Likelihood {
  std::optional<Cholesky> correlation, trend_normal;
  std::vector<std::vector<double>> trend_half;
  std::vector<double> slopes;
  double variance = 0;
  double criterion = std::numeric_limits<double>::infinity();

  Likelihood(const Matrix& distances, const Matrix& trend, const std::vector<double>& y, double theta,
             double nugget) {
    const i64 n = distances.rows, terms = trend.cols;
    Matrix r(n, n);
    for (i64 i = 0; i < n; ++i) {
      r.at(i, i) = 1 + nugget;
      for (i64 j = i + 1; j < n; ++j) r.at(i, j) = std::exp(-theta * distances.at(i, j));
    }
    correlation = Cholesky::of(std::move(r));
    if (!correlation) return;
    // Generalised least squares: ordinary ones after multiplying by u^-T.
    for (i64 t = 0; t < terms; ++t) trend_half.push_back(correlation->half(column(trend, t)));
    const std::vector<double> y_half = correlation->half(y);
    Matrix normal(terms, terms);
    std::vector<double> right(static_cast<std::size_t>(terms));
    for (i64 a = 0; a < terms; ++a) {
      for (i64 b = a; b < terms; ++b)
        normal.at(a, b) = dot(trend_half[std::size_t(a)], trend_half[std::size_t(b)]);
      right[std::size_t(a)] = dot(trend_half[std::size_t(a)], y_half);
    }
    trend_normal = Cholesky::of(std::move(normal));
    if (!trend_normal) return;
    slopes = trend_normal->solve(right);
    std::vector<double> rest = y_half;
    for (i64 t = 0; t < terms; ++t)
      for (std::size_t i = 0; i < rest.size(); ++i)
        rest[i] -= slopes[std::size_t(t)] * trend_half[std::size_t(t)][i];
    variance = dot(rest, rest) / double(n);
    // Values that are all equal leave no variance: any smooth answer is as good as another.
    criterion = double(n) * std::log(std::max(variance, 1e-300)) + correlation->log_determinant();
  }
};

GaussianProcess::GaussianProcess(const GaussianProcessOptions& options) : options_(options) {
  require_between("theta", options.theta, kThetaLow, kThetaHigh);
  require_between("nugget", options.nugget, kNuggetLow, kNuggetHigh);
}

Matrix GaussianProcess::standardised(const Matrix& x) const {
  Matrix z(x.rows, x.cols);
  for (i64 i = 0; i < x.rows; ++i)
    for (i64 j = 0; j < x.cols; ++j)
      z.at(i, j) = (x.at(i, j) - centre_[std::size_t(j)]) * scale_[std::size_t(j)];
  return z;
}

Matrix GaussianProcess::trend_of(const Matrix& z) const {
  std::vector<i64> used;
  for (i64 j = 0; linear_ && j < z.cols; ++j)
    if (scale_[std::size_t(j)] > 0) used.push_back(j);
  Matrix trend(z.rows, 1 + i64(used.size()), 1.0);
  for (i64 i = 0; i < z.rows; ++i)
    for (std::size_t t = 0; t < used.size(); ++t) trend.at(i, 1 + i64(t)) = z.at(i, used[t]);
  return trend;
}

void GaussianProcess::learn(Exec& exec, const Matrix& x, std::span<const double> y, const Watch& watch) {
  const i64 n = x.rows;
  centre_.assign(std::size_t(x.cols), 0);
  scale_.assign(std::size_t(x.cols), 0);
  i64 varying = 0;
  for (i64 j = 0; j < x.cols; ++j) {
    double sum = 0, squares = 0;
    for (i64 i = 0; i < n; ++i) sum += x.at(i, j);
    const double mean = sum / double(n);
    for (i64 i = 0; i < n; ++i) squares += (x.at(i, j) - mean) * (x.at(i, j) - mean);
    centre_[std::size_t(j)] = mean;
    if (squares > 0) scale_[std::size_t(j)] = 1 / std::sqrt(squares / double(n)), ++varying;
  }
  linear_ = options_.trend == GaussianProcessOptions::Trend::linear && n >= 2 * (varying + 1);
  samples_ = standardised(x);
  const Matrix trend = trend_of(samples_);

  double sum = 0, squares = 0;
  for (double v : y) sum += v;
  mean_y_ = sum / double(n);
  for (double v : y) squares += (v - mean_y_) * (v - mean_y_);
  scale_y_ = squares > 0 ? std::sqrt(squares / double(n)) : 1;
  std::vector<double> values;
  for (double v : y) values.push_back((v - mean_y_) / scale_y_);

  Matrix distances(n, n);
  for (i64 i = 0; i < n; ++i)
    for (i64 j = i + 1; j < n; ++j)
      distances.at(i, j) = squared_distance(samples_.row(i), samples_.row(j), x.cols);

  struct Point {
    double theta, nugget;  // log10
  };
  const auto criteria_of = [&](const std::vector<Point>& points) {
    std::vector<double> out(points.size());
    parallel_for(exec, i64(points.size()), 1, [&](i64 begin, i64 end, int) {
      for (i64 i = begin; i < end && !watch.stop_requested(); ++i)
        out[std::size_t(i)] = Likelihood(distances, trend, values, std::pow(10, points[std::size_t(i)].theta),
                                         std::pow(10, points[std::size_t(i)].nugget))
                                  .criterion;
    });
    watch.check();
    return out;
  };
  // The first theta along a line, then nugget, then both by steps that halve where no neighbour is better.
  Point best{options_.theta ? std::log10(*options_.theta) : kThetaLow,
             options_.nugget ? std::log10(*options_.nugget) : kFirstNugget};
  double lowest = std::numeric_limits<double>::infinity();
  const auto improve = [&](const std::vector<Point>& points) {
    const std::vector<double> criteria = criteria_of(points);
    const auto at = std::min_element(criteria.begin(), criteria.end());
    if (at == criteria.end() || !(*at < lowest)) return false;
    lowest = *at;
    best = points[std::size_t(at - criteria.begin())];
    return true;
  };
  std::vector<Point> line;
  if (!options_.theta)
    for (double t = kThetaLow; t <= kThetaHigh; t += 1) line.push_back({t, best.nugget});
  improve(line);
  line.clear();
  if (!options_.nugget)
    for (double g : {-8.0, -6.0, -4.0, -3.0, -1.0, 0.0}) line.push_back({best.theta, g});
  improve(line);
  for (double step = kFirstStep; step >= kLastStep && !(options_.theta && options_.nugget);) {
    std::vector<Point> around;
    if (!options_.theta)
      for (double s : {-step, step})
        around.push_back({std::clamp(best.theta + s, kThetaLow, kThetaHigh), best.nugget});
    if (!options_.nugget)
      for (double s : {-step, step})
        around.push_back({best.theta, std::clamp(best.nugget + s, kNuggetLow, kNuggetHigh)});
    if (!improve(around)) step /= 2;
  }

  theta_ = options_.theta.value_or(std::pow(10, best.theta));
  nugget_ = options_.nugget.value_or(std::pow(10, best.nugget));
  Likelihood fitted(distances, trend, values, theta_, nugget_);
  if (!std::isfinite(fitted.criterion))
    throw Error("surrogate gp: the correlation of the samples is not positive definite");
  criterion_ = fitted.criterion;
  variance_ = fitted.variance;
  slopes_ = std::move(fitted.slopes);
  std::vector<double> rest = values;
  for (i64 i = 0; i < n; ++i)
    for (i64 t = 0; t < trend.cols; ++t) rest[std::size_t(i)] -= slopes_[std::size_t(t)] * trend.at(i, t);
  weights_ = fitted.correlation->solve(std::move(rest));
  correlation_ = std::move(fitted.correlation);
  trend_normal_ = std::move(fitted.trend_normal);
  trend_half_ = std::move(fitted.trend_half);
}

std::vector<Estimate> GaussianProcess::answer(Exec& exec, const Matrix& x, bool spread) const {
  const Matrix z = standardised(x), trend = trend_of(z);
  std::vector<Estimate> out(std::size_t(x.rows), Estimate{0, std::numeric_limits<double>::quiet_NaN()});
  parallel_for(exec, x.rows, 4, [&](i64 begin, i64 end, int) {
    std::vector<double> r(static_cast<std::size_t>(samples_.rows));
    for (i64 i = begin; i < end; ++i) {
      for (i64 j = 0; j < samples_.rows; ++j)
        r[std::size_t(j)] = std::exp(-theta_ * squared_distance(z.row(i), samples_.row(j), z.cols));
      double mean = dot(r, weights_);
      for (i64 t = 0; t < trend.cols; ++t) mean += slopes_[std::size_t(t)] * trend.at(i, t);
      out[std::size_t(i)].mean = mean_y_ + scale_y_ * mean;
      if (!spread) continue;
      const std::vector<double> half = correlation_->half(r);
      std::vector<double> miss(static_cast<std::size_t>(trend.cols));
      for (i64 t = 0; t < trend.cols; ++t)
        miss[std::size_t(t)] = dot(trend_half_[std::size_t(t)], half) - trend.at(i, t);
      const std::vector<double> miss_half = trend_normal_->half(miss);
      const double share = 1 - dot(half, half) + dot(miss_half, miss_half);
      out[std::size_t(i)].spread = scale_y_ * std::sqrt(variance_ * std::max(share, 0.0));
    }
  });
  return out;
}

}  // namespace offramp::nas
