// Seeded test data. The seed is part of the failing test's name or message, so a failure can be replayed.
#pragma once
#include <span>

#include "kernels/rng.h"

namespace offramp::testing {

template <class T>
void fill_integers(std::span<T> out, u64 seed, i32 magnitude) {
  Rng rng(seed);
  for (T& v : out) v = T(i32(rng.below(u32(2 * magnitude + 1))) - magnitude);
}

template <class T>
void fill_reals(std::span<T> out, u64 seed, float low = -1, float high = 1) {
  Rng rng(seed);
  for (T& v : out) v = T(rng.uniform(low, high));
}

}  // namespace offramp::testing
