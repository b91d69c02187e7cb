// Walks two strided arrays of one shape together, with neighbouring axes merged where both allow it.
#pragma once
#include <span>
#include <vector>

#include "kernels/types.h"

namespace offramp::detail {

struct StridedPair {
  // Axes, outermost first; the last one is the inner run. Strides in elements.
  struct Axis {
    i64 extent, a, b;
  };
  std::vector<Axis> outer;
  Axis inner{1, 1, 1};
  bool empty = false;

  StridedPair(std::span<const i64> extents, std::span<const i64> a, std::span<const i64> b) {
    std::vector<Axis> axes;
    for (size_t i = 0; i < extents.size(); ++i) {
      if (extents[i] == 0) empty = true;
      if (extents[i] == 1) continue;
      const Axis next{extents[i], a[i], b[i]};
      if (!axes.empty() && axes.back().a == next.a * next.extent && axes.back().b == next.b * next.extent)
        axes.back() = {axes.back().extent * next.extent, next.a, next.b};
      else
        axes.push_back(next);
    }
    if (axes.empty()) return;
    inner = axes.back();
    axes.pop_back();
    outer = std::move(axes);
  }

  // run(offset_a, offset_b) for every inner run, in row-major order.
  template <class Run>
  void for_each_run(Run&& run) const {
    if (empty) return;
    std::vector<i64> at(outer.size(), 0);
    i64 a = 0, b = 0;
    for (;;) {
      run(a, b);
      i64 axis = i64(outer.size()) - 1;
      for (; axis >= 0; --axis) {
        const Axis& x = outer[size_t(axis)];
        a += x.a;
        b += x.b;
        if (++at[size_t(axis)] < x.extent) break;
        a -= x.a * x.extent;
        b -= x.b * x.extent;
        at[size_t(axis)] = 0;
      }
      if (axis < 0) return;
    }
  }
};

}  // namespace offramp::detail
