// Two questions, two tests: integers for "which elements?", a derived bound for "how much rounding?".
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <span>

#include "kernels/types.h"

namespace offramp::testing {

// Sums of k products of integers of magnitude <= m are exact in float: any order, any fma, tolerance 0.
constexpr bool exact_in_float(i64 k, i64 m) { return k * m * m <= (i64{1} << 24); }

// Random-walk bound of a float sum of k products, with a factor 2 of room (Higham & Mary 2019).
inline double rounding_bound(i64 k, double sum_abs_products) {
  return 2 * std::sqrt(double(k)) * std::numeric_limits<float>::epsilon() * sum_abs_products;
}

template <class A, class B>
::testing::AssertionResult all_equal(std::span<const A> got, std::span<const B> want) {
  if (got.size() != want.size())
    return ::testing::AssertionFailure() << "sizes differ: " << got.size() << " and " << want.size();
  for (size_t i = 0; i < got.size(); ++i)
    if (!(double(got[i]) == double(want[i])))
      return ::testing::AssertionFailure() << "element " << i << ": got " << got[i] << ", want " << want[i];
  return ::testing::AssertionSuccess();
}

// |got - want| <= bound(i) for every element; NaN never passes.
template <class A, class B, class Bound>
::testing::AssertionResult all_close(std::span<const A> got, std::span<const B> want, Bound&& bound) {
  if (got.size() != want.size())
    return ::testing::AssertionFailure() << "sizes differ: " << got.size() << " and " << want.size();
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::fabs(double(got[i]) - double(want[i])), limit = bound(i64(i));
    if (!(error <= limit))
      return ::testing::AssertionFailure() << "element " << i << ": got " << got[i] << ", want " << want[i]
                                           << ", error " << error << " > " << limit;
  }
  return ::testing::AssertionSuccess();
}

}  // namespace offramp::testing
