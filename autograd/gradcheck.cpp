#include "autograd/gradcheck.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/error.h"
#include "kernels/rng.h"

namespace offramp {
namespace {

// Freed blocks are reused: after this the next tensors of these sizes are likely to start out as NaN.
void poison_memory(const std::vector<Tensor>& like) {
  std::vector<Tensor> blocks;
  for (const Tensor& t : like)
    for (int copy = 0; copy < 4; ++copy) {
      blocks.push_back(Tensor::empty(t.shape(), DType::f64));
      blocks.back().fill(std::numeric_limits<double>::quiet_NaN());
    }
}

Tensor random_like(const Tensor& t, u64 seed) {
  Tensor out = Tensor::empty(t.shape(), DType::f64);
  Rng rng(seed);
  for (double& v : out.values<double>()) v = rng.uniform(-1, 1);
  return out;
}

double dot(const Tensor& a, const Tensor& b) {
  const auto x = a.values<double>(), y = b.values<double>();
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

}  // namespace

GradcheckResult gradcheck(Exec& exec,
                          const std::function<Variable(Exec&, const std::vector<Variable>&)>& function,
                          std::vector<Tensor> inputs, const GradcheckOptions& options) {
  std::vector<Variable> leaves;
  for (Tensor& t : inputs) {
    if (t.dtype() == DType::f64) t = t.clone();
    leaves.emplace_back(t, t.dtype() == DType::f64);
  }
  Variable y = function(exec, leaves);
  if (y.value().dtype() != DType::f64)
    throw input_error("gradcheck: a function with an f64 result was wanted");
  const Tensor upstream = random_like(y.value(), options.seed);
  std::vector<Tensor> shapes = inputs;
  shapes.push_back(upstream);
  poison_memory(shapes);
  backward(exec, y, upstream);
  std::vector<Tensor> once;
  for (const Variable& leaf : leaves) once.push_back(leaf.grad().defined() ? leaf.grad().clone() : Tensor());
  y = function(exec, leaves);
  poison_memory(shapes);
  backward(exec, y, upstream);

  GradcheckResult result;
  result.ok = true;
  const auto fail = [&](size_t input, i64 element, const std::string& what) {
    if (!result.ok) return;
    result.ok = false;
    result.message = "input " + std::to_string(input) + ", element " + std::to_string(element) + ": " + what;
  };
  for (size_t k = 0; k < inputs.size(); ++k) {
    if (inputs[k].dtype() != DType::f64) continue;
    if (!once[k].defined()) {
      fail(k, 0, "no gradient arrived");
      continue;
    }
    const auto values = inputs[k].values<double>();
    const auto analytic = std::as_const(once[k]).values<double>();
    const auto twice = leaves[k].grad().values<double>();
    for (size_t i = 0; i < values.size(); ++i) {
      const double saved = values[i];
      values[i] = saved + options.step;
      const double above = dot(function(exec, leaves).value(), upstream);
      values[i] = saved - options.step;
      const double below = dot(function(exec, leaves).value(), upstream);
      values[i] = saved;
      const double numeric = (above - below) / (2 * options.step);
      const double error = std::fabs(analytic[i] - numeric) /
                           std::max(1.0, std::max(std::fabs(analytic[i]), std::fabs(numeric)));
      if (!(error <= options.tolerance))
        fail(k, i64(i),
             "gradient " + std::to_string(analytic[i]) + ", by differences " + std::to_string(numeric) +
                 ", relative error " + std::to_string(error));
      if (!(std::fabs(twice[i] - 2 * analytic[i]) <= 1e-12 * std::max(1.0, std::fabs(twice[i]))))
        fail(k, i64(i),
             "a second backward gave " + std::to_string(twice[i]) + " instead of twice " +
                 std::to_string(analytic[i]));
      result.worst = std::max(result.worst, error);
    }
  }
  return result;
}

}  // namespace offramp
