// A scalar that counts what is done with it: proves declared costs against the reference kernels.
#pragma once
#include <cmath>

#include "kernels/types.h"

namespace offramp::testing {

// Counts multiplications (each one followed by an addition is a multiply-accumulate) of the reference template.
struct Counting {
  static inline i64 multiplies = 0, others = 0, comparisons = 0;
  static void reset() { multiplies = others = comparisons = 0; }
  // other_ops of a family without multiply-accumulates: every operation, a comparison counting as one.
  static i64 total() { return multiplies + others + comparisons; }

  double value = 0;
  Counting() = default;
  Counting(double v) : value(v) {}
  explicit operator double() const { return value; }

  friend Counting operator*(Counting a, Counting b) { ++multiplies; return {a.value * b.value}; }
  friend Counting operator+(Counting a, Counting b) { ++others; return {a.value + b.value}; }
  friend Counting operator-(Counting a, Counting b) { ++others; return {a.value - b.value}; }
  friend Counting operator/(Counting a, Counting b) { ++others; return {a.value / b.value}; }
  Counting& operator+=(Counting b) { return *this = *this + b; }
  friend bool operator<(Counting a, Counting b) { ++comparisons; return a.value < b.value; }
  friend bool operator>(Counting a, Counting b) { ++comparisons; return a.value > b.value; }
  friend Counting exp(Counting a) { ++others; return {std::exp(a.value)}; }
  friend Counting log(Counting a) { ++others; return {std::log(a.value)}; }
  friend Counting sqrt(Counting a) { ++others; return {std::sqrt(a.value)}; }
};

}  // namespace offramp::testing
