// What the card's results are held against: sums in double, and how far from them a mode of computing may be.
// Small integers have no distance: whatever the order of the sum, only storing the result may round it.
#pragma once
#include <algorithm>
#include <functional>

#include "tests/cuda/modes.h"

namespace offramp::testing {

// While it lives, kernels choose as on a card of so many multiprocessors. With one, products take whole tiles
// and sums are cut into few parts, as large batches do on any card; with many, short tiles and many parts.
class SupposedCard {
 public:
  explicit SupposedCard(int multiprocessors) : before_(gpu().properties().multiprocessors) {
    gpu().suppose_multiprocessors(multiprocessors);
  }
  ~SupposedCard() { gpu().suppose_multiprocessors(before_); }
  SupposedCard(const SupposedCard&) = delete;
  SupposedCard& operator=(const SupposedCard&) = delete;

 private:
  static cuda::Gpu& gpu() { return cuda::Gpu::instance(); }
  int before_;
};
inline constexpr int kMultiprocessors[] = {1, 3, 132};

using Doubles = std::vector<double>;
using Map = std::function<double(double)>;
inline Doubles mapped(const Map& f, std::span<const float> values) {
  Doubles out;
  for (const float v : values) out.push_back(f(double(v)));
  return out;
}
inline Doubles mapped(const Map& f, const Doubles& values) {
  Doubles out(values);
  std::transform(out.begin(), out.end(), out.begin(), f);
  return out;
}
inline Doubles doubles(std::span<const float> values) { return {values.begin(), values.end()}; }
inline Doubles room_for(i64 count) { return Doubles(static_cast<size_t>(count), NAN); }

// Wanted values, and how far from each a result may be before it is stored.
struct Wanted {
  Doubles value, bound;
};

// Sums of `terms` products. run(f) gives them with f applied to every operand: from magnitudes and squares
// follows how far rounding may carry a sum. What adding up rounds: compare.h. Operands are rounded by at most
// kOperand of themselves before they are multiplied, which adds to a product an error of kOperand * sqrt(2 /
// 3) of it in the root mean square; errors of different products are independent, so six times their root sum
// of squares is never met, and the worst case (all at their largest, one sign) bounds short sums.
template <class Mode>
Wanted sums(i64 terms, const std::function<Doubles(const Map&)>& run) {
  Wanted out{run([](double v) { return v; }), run([](double v) { return std::fabs(v); })};
  const Doubles squares = run([](double v) { return v * v; });
  for (size_t i = 0; i < out.bound.size(); ++i) {
    const double magnitude = out.bound[i], unit = Mode::kOperand;
    out.bound[i] = rounding_bound(terms, magnitude) +
                   unit * std::min(2 * magnitude, 6 * std::sqrt(2.0 / 3.0 * squares[i]));
  }
  return out;
}

// A float operation or two more: each rounds what it gives.
inline double float_error(double magnitude) { return 2 * std::numeric_limits<float>::epsilon() * magnitude; }

// f of each wanted value, index and value; `steepest` bounds its slope.
template <class F>
Wanted then(Wanted w, double steepest, F&& f) {
  for (size_t i = 0; i < w.value.size(); ++i) {
    const double before = w.value[i];
    w.value[i] = f(i64(i), before);
    w.bound[i] = steepest * w.bound[i] + float_error(std::fmax(std::fabs(before), std::fabs(w.value[i])));
  }
  return w;
}

// Within the bound of each value and the rounding of a stored T.
template <class T>
::testing::AssertionResult meets(const std::vector<float>& got, const Wanted& want) {
  return all_close<float, double>(got, want.value, [&](i64 i) {
    return want.bound[size_t(i)] +
           storage_error<T>() * (std::fabs(want.value[size_t(i)]) + want.bound[size_t(i)]);
  });
}
// Each is the wanted value, stored as T.
template <class T>
::testing::AssertionResult is_stored(const std::vector<float>& got, const Doubles& want) {
  std::vector<float> stored;
  for (const double v : want) stored.push_back(float(T(float(v))));
  return all_equal<float, float>(got, stored);
}
template <class T>
::testing::AssertionResult matches(const std::vector<float>& got, const Wanted& want, bool exact) {
  return exact ? is_stored<T>(got, want.value) : meets<T>(got, want);
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace offramp::testing
