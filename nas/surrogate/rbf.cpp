#include "nas/surrogate/rbf.h"

#include <cmath>
#include <limits>

#include "kernels/error.h"
#include "kernels/parallel.h"
#include "nas/surrogate/solve.h"

namespace offramp::nas {
namespace {
double cubic(double squared) { return squared * std::sqrt(squared); }
}  // namespace

// [ phi + smoothing I   P  ] [weights]   [y]
// [ P^T              -ridge] [tail   ] = [0]     P = [x 1], no ridge on the constant
void Rbf::learn(Exec&, const Matrix& x, std::span<const double> y, const Watch&) {
  const i64 n = x.rows, tail = x.cols + 1;
  Matrix system(n + tail, n + tail);
  for (i64 i = 0; i < n; ++i) {
    for (i64 j = 0; j <= i; ++j)
      system.at(i, j) = system.at(j, i) = cubic(squared_distance(x.row(i), x.row(j), x.cols));
    system.at(i, i) += options_.smoothing;
    for (i64 j = 0; j < tail; ++j) system.at(i, n + j) = system.at(n + j, i) = j < x.cols ? x.at(i, j) : 1.0;
  }
  for (i64 j = 0; j < x.cols; ++j) system.at(n + j, n + j) = -options_.tail_ridge * double(n);
  const auto lu = Lu::of(std::move(system));
  if (!lu)
    throw Error("surrogate rbf: the samples leave the system singular; samples that differ are wanted");
  // Without their mean, values that are all equal are exactly 0.
  double mean = 0;
  for (double v : y) mean += v / double(n);
  std::vector<double> right(std::size_t(n + tail), 0.0);
  for (i64 i = 0; i < n; ++i) right[std::size_t(i)] = y[std::size_t(i)] - mean;
  const std::vector<double> solution = lu->solve(right);
  weights_.assign(solution.begin(), solution.begin() + n);
  tail_.assign(solution.begin() + n, solution.end());
  tail_.back() += mean;
  centres_ = x;
}

std::vector<Estimate> Rbf::answer(Exec& exec, const Matrix& x, bool) const {
  std::vector<Estimate> out(std::size_t(x.rows), Estimate{0, std::numeric_limits<double>::quiet_NaN()});
  parallel_for(exec, x.rows, 16, [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) {
      double sum = tail_.back();
      for (i64 j = 0; j < x.cols; ++j) sum += tail_[std::size_t(j)] * x.at(i, j);
      for (i64 c = 0; c < centres_.rows; ++c)
        sum += weights_[std::size_t(c)] * cubic(squared_distance(x.row(i), centres_.row(c), x.cols));
      out[std::size_t(i)].mean = sum;
    }
  });
  return out;
}

}  // namespace offramp::nas
