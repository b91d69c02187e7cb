// The three ways of computing on a card, for typed tests: the element type, how floats are multiplied, how
// far an operand is rounded before it is multiplied (relative), and how far from a host's results those may
// lie that are compared on a whole tensor's scale.
#pragma once
#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/device.h"
#include "tests/support/fill.h"

namespace offramp::testing {

struct ExactFloat {
  using T = float;
  static constexpr cuda::Math kMath = cuda::Math::f32;
  static constexpr double kTolerance = 2e-6, kOperand = 0;
};
struct TensorFloat {
  using T = float;
  static constexpr cuda::Math kMath = cuda::Math::tf32;
  static constexpr double kTolerance = 1e-3, kOperand = 0x1p-11;
};
struct BFloat {
  using T = Bf16;
  static constexpr cuda::Math kMath = cuda::Math::f32;
  static constexpr double kTolerance = 1e-2, kOperand = 0x1p-8;
};
using Modes = ::testing::Types<ExactFloat, TensorFloat, BFloat>;

inline std::vector<float> reals(i64 count, u64 seed, float low = -1, float high = 1) {
  std::vector<float> out(static_cast<size_t>(count));
  fill_reals(std::span(out), seed, low, high);
  return out;
}
inline std::vector<float> integers(i64 count, u64 seed, i32 magnitude) {
  std::vector<float> out(static_cast<size_t>(count));
  fill_integers(std::span(out), seed, magnitude);
  return out;
}

inline double largest(std::span<const float> values) {
  double out = 0;
  for (const float v : values) out = std::fmax(out, std::fabs(double(v)));
  return out;
}

// Every value within tolerance x the largest magnitude of what is wanted (a whole tensor's scale: single
// values may be sums that cancel).
inline ::testing::AssertionResult near(const std::vector<float>& got, const std::vector<float>& want,
                                       double tolerance, double scale = 0) {
  const double bound = tolerance * std::fmax(scale > 0 ? scale : largest(want), 1e-3);
  return all_close<float, float>(got, want, [&](i64) { return bound; });
}

}  // namespace offramp::testing
