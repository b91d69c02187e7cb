// How well two scores order the same things: Kendall's tau-b.
// Source: Kendall 1945, "The treatment of ties in ranking problems".
#pragma once
#include <cmath>
#include <span>

#include "kernels/types.h"

namespace offramp::nas {

struct Agreement {
  i64 agree = 0, disagree = 0;  // pairs ordered alike, and the other way round
  i64 tied_a = 0, tied_b = 0;   // pairs that a (b) does not tell apart, whatever the other says
  i64 pairs = 0;                // n (n - 1) / 2

  // In [-1,1]; NaN when a or b tells no pair apart.
  double tau() const {
    return double(agree - disagree) / std::sqrt(double(pairs - tied_a) * double(pairs - tied_b));
  }
};

// a and b have the same length.
inline Agreement rank_agreement(std::span<const double> a, std::span<const double> b) {
  Agreement result;
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const bool same_a = a[i] == a[j], same_b = b[i] == b[j];
      ++result.pairs;
      result.tied_a += same_a;
      result.tied_b += same_b;
      if (same_a || same_b) continue;
      ++((a[i] < a[j]) == (b[i] < b[j]) ? result.agree : result.disagree);
    }
  return result;
}

}  // namespace offramp::nas
