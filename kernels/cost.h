// What one call does, exact integers. Padded taps are counted; sums over calls are the cost of a plan.
#pragma once
#include "kernels/types.h"

namespace offramp {

struct Cost {
  i64 macs = 0;           // multiply-accumulates of convolutions and linear layers, biases excluded
  i64 other_ops = 0;      // every other arithmetic operation (activation, pooling, resize, add, scale, ...)
  i64 bytes_read = 0;     // each operand once
  i64 bytes_written = 0;

  friend constexpr Cost operator+(Cost a, const Cost& b) {
    return {a.macs + b.macs, a.other_ops + b.other_ops, a.bytes_read + b.bytes_read,
            a.bytes_written + b.bytes_written};
  }
  constexpr Cost& operator+=(const Cost& b) { return *this = *this + b; }
  friend constexpr bool operator==(const Cost&, const Cost&) = default;
};

struct Extent {
  i64 h, w;
  friend constexpr bool operator==(const Extent&, const Extent&) = default;
};

}  // namespace offramp
