// A function of a few dozen inputs, learned from a few hundred samples.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "kernels/exec.h"
#include "nas/progress.h"
#include "nas/surrogate/matrix.h"

namespace offramp::nas {

struct Estimate {
  double mean = 0;
  double spread = 0;  // standard deviation of the error the model expects; NaN where it has no idea of it
};

// A fit is a deterministic function of options and samples: same bits for any number of threads.
class Regressor {
 public:
  virtual ~Regressor() = default;
  virtual std::string_view name() const = 0;  // "rbf", "gp", "carts", "mlp", "as"

  // Rows of x are samples. Replaces an earlier fit. Throws Error(usage) unless there are two samples or more,
  // one y for each, all finite; Error(interrupted) when `watch` wants to stop.
  void fit(Exec& exec, const Matrix& x, std::span<const double> y, const Watch& watch = {});
  // One estimate per row; spreads are NaN when not asked for, which may be much faster. Throws Error(usage)
  // before a fit and when the number of columns differs.
  std::vector<Estimate> predict(Exec& exec, const Matrix& x, bool spread = true) const;

 protected:
  // Looks at `watch` between pieces of work of a second or less.
  virtual void learn(Exec& exec, const Matrix& x, std::span<const double> y, const Watch& watch) = 0;
  virtual std::vector<Estimate> answer(Exec& exec, const Matrix& x, bool spread) const = 0;

 private:
  i64 cols_ = -1;  // -1: not fitted
};

std::vector<double> means(std::span<const Estimate> estimates);

}  // namespace offramp::nas
