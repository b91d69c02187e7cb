#include "nas/surrogate/regressor.h"

#include <cmath>
#include <string>

#include "kernels/error.h"

namespace offramp::nas {

void Regressor::fit(Exec& exec, const Matrix& x, std::span<const double> y, const Watch& watch) {
  const std::string who = "surrogate " + std::string(name());
  if (x.rows < 2 || x.cols < 1 || i64(y.size()) != x.rows)
    throw usage_error(who + ": two samples or more with a value each wanted, got " + std::to_string(x.rows) +
                      " of " + std::to_string(x.cols) + " inputs and " + std::to_string(y.size()) +
                      " values");
  for (std::span<const double> values : {std::span<const double>(x.values), y})
    for (double v : values)
      if (!std::isfinite(v)) throw usage_error(who + ": a sample is not finite");
  cols_ = -1;
  watch.check();
  learn(exec, x, y, watch);
  cols_ = x.cols;
}

std::vector<Estimate> Regressor::predict(Exec& exec, const Matrix& x, bool spread) const {
  if (cols_ < 0) throw usage_error("surrogate " + std::string(name()) + ": asked before it was fitted");
  if (x.cols != cols_)
    throw usage_error("surrogate " + std::string(name()) + ": fitted to " + std::to_string(cols_) +
                      " inputs, got " + std::to_string(x.cols));
  if (x.rows == 0) return {};
  return answer(exec, x, spread);
}

std::vector<double> means(std::span<const Estimate> estimates) {
  std::vector<double> out;
  out.reserve(estimates.size());
  for (const Estimate& e : estimates) out.push_back(e.mean);
  return out;
}

}  // namespace offramp::nas
