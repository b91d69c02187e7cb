// Reference of resizing, a template on the scalar.
#pragma once
#include <cmath>

#include "kernels/bf16.h"
#include "kernels/resize/resize.h"

namespace offramp::kernels {

// The taps of one output position along an axis of `in` samples: `index` clamped to the image, weights sum
// to 1.
struct ResizeTaps {
  i64 index[4];
  double weight[4];
};

OFFRAMP_HOST_DEVICE inline ResizeTaps resize_taps_at(ResizeKind kind, i64 in, i64 out, i64 position) {
  // Half-pixel centres, in one division: the exact position for sizes where it is a binary fraction.
  const double source = double((2 * position + 1) * in - out) / double(2 * out);
  const double below = std::floor(source), t = source - below;
  ResizeTaps taps{};
  if (kind == ResizeKind::bilinear) {
    taps.weight[0] = 1 - t;
    taps.weight[1] = t;
  } else {
    constexpr double a = -0.75;
    const auto near = [](double v) { return ((a + 2) * v - (a + 3)) * v * v + 1; };       // |v| <= 1
    const auto far = [](double v) { return ((a * v - 5 * a) * v + 8 * a) * v - 4 * a; };  // 1 < |v| < 2
    taps.weight[0] = far(t + 1);
    taps.weight[1] = near(t);
    taps.weight[2] = near(1 - t);
    taps.weight[3] = far(2 - t);
  }
  const i64 first = i64(below) - (kind == ResizeKind::bicubic ? 1 : 0);
  for (i64 i = 0; i < resize_taps(kind); ++i) {
    const i64 at = first + i;
    taps.index[i] = at < 0 ? 0 : at >= in ? in - 1 : at;
  }
  return taps;
}

// Calls visit(n, output row, output col, taps of the row, taps of the col).
template <class Visit>
void visit_resize(const ResizeDims& d, Visit&& visit) {
  for (i64 n = 0; n < d.n; ++n)
    for (i64 row = 0; row < d.out_h; ++row)
      for (i64 col = 0; col < d.out_w; ++col)
        visit(n, row, col, resize_taps_at(d.kind, d.h, d.out_h, row),
              resize_taps_at(d.kind, d.w, d.out_w, col));
}

template <class T>
void resize_ref(const ResizeCallT<T>& call) {
  const ResizeDims& d = call.dims;
  const i64 taps = resize_taps(d.kind);
  visit_resize(d, [&](i64 n, i64 row, i64 col, const ResizeTaps& rows, const ResizeTaps& cols) {
    for (i64 c = 0; c < d.c; ++c) {
      T value(0);
      for (i64 s = 0; s < taps; ++s) {
        T column(0);
        for (i64 r = 0; r < taps; ++r)
          column += T(rows.weight[r]) * call.x[((n * d.h + rows.index[r]) * d.w + cols.index[s]) * d.c + c];
        value += T(cols.weight[s]) * column;
      }
      call.y[((n * d.out_h + row) * d.out_w + col) * d.c + c] = value;
    }
  });
}

template <class T>
void resize_grad_ref(const ResizeGradCallT<T>& call) {
  const ResizeDims& d = call.dims;
  const i64 taps = resize_taps(d.kind);
  for (i64 i = 0; i < d.n * d.h * d.w * d.c; ++i) call.gx[i] = T(0);
  visit_resize(d, [&](i64 n, i64 row, i64 col, const ResizeTaps& rows, const ResizeTaps& cols) {
    for (i64 c = 0; c < d.c; ++c) {
      const T gy = call.gy[((n * d.out_h + row) * d.out_w + col) * d.c + c];
      for (i64 s = 0; s < taps; ++s) {
        T column(0);
        column += T(cols.weight[s]) * gy;
        for (i64 r = 0; r < taps; ++r)
          call.gx[((n * d.h + rows.index[r]) * d.w + cols.index[s]) * d.c + c] += T(rows.weight[r]) * column;
      }
    }
  });
}

}  // namespace offramp::kernels
