// A scalar that counts what is done with it: proves declared costs against the reference kernels.
#pragma once
#include "kernels/types.h"

namespace offramp::testing {

// Counts multiplications (each one followed by an addition is a multiply-accumulate) of the reference template.
struct Counting {
  static inline i64 multiplies = 0, others = 0;
  static void reset() { multiplies = others = 0; }

  double value = 0;
  Counting() = default;
  Counting(double v) : value(v) {}
  explicit operator double() const { return value; }

  friend Counting operator*(Counting a, Counting b) { ++multiplies; return {a.value * b.value}; }
  friend Counting operator+(Counting a, Counting b) { ++others; return {a.value + b.value}; }
  friend Counting operator-(Counting a, Counting b) { ++others; return {a.value - b.value}; }
  friend Counting operator/(Counting a, Counting b) { ++others; return {a.value / b.value}; }
  Counting& operator+=(Counting b) { return *this = *this + b; }
  friend bool operator<(Counting a, Counting b) { return a.value < b.value; }
  friend bool operator>(Counting a, Counting b) { return a.value > b.value; }
};

}  // namespace offramp::testing
