// Numerical gradients in double, to hold analytic ones against.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <span>

#include "kernels/types.h"

namespace offramp::testing {

// Compares gradient[i] with (f(x + h e_i) - f(x - h e_i)) / 2h for every i; f reads x and returns the scalar loss.
template <class F>
::testing::AssertionResult gradient_matches(std::span<double> x, std::span<const double> gradient, F&& f,
                                            double tolerance = 1e-6, double h = 1e-5) {
  if (x.size() != gradient.size())
    return ::testing::AssertionFailure() << x.size() << " inputs, " << gradient.size() << " gradients";
  for (size_t i = 0; i < x.size(); ++i) {
    const double at = x[i];
    x[i] = at + h;
    const double above = f();
    x[i] = at - h;
    const double below = f();
    x[i] = at;
    const double numeric = (above - below) / (2 * h), error = std::fabs(numeric - gradient[i]);
    if (!(error <= tolerance * std::fmax(1, std::fabs(numeric))))
      return ::testing::AssertionFailure() << "element " << i << ": analytic " << gradient[i] << ", numeric "
                                           << numeric;
  }
  return ::testing::AssertionSuccess();
}

// sum of y[i] * w[i]: a scalar loss whose gradient with respect to y is w.
inline double weighted_sum(std::span<const double> y, std::span<const double> w) {
  double sum = 0;
  for (size_t i = 0; i < y.size(); ++i) sum += y[i] * w[i];
  return sum;
}

}  // namespace offramp::testing
