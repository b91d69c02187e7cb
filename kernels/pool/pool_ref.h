// Reference of the pooling family, a template on the scalar.
#pragma once
#include <limits>

#include "kernels/pool/pool_call.h"

namespace offramp::kernels {

// Calls window(output index, n, first input row, first input col, c) for every output.
template <class Window>
void visit_pool_windows(const PoolDims& d, i64 out_h, i64 out_w, Window&& window) {
  for (i64 n = 0; n < d.n; ++n)
    for (i64 row = 0; row < out_h; ++row)
      for (i64 col = 0; col < out_w; ++col)
        for (i64 c = 0; c < d.c; ++c)
          window(((n * out_h + row) * out_w + col) * d.c + c, n, row * d.stride - d.pad,
                 col * d.stride - d.pad, c);
}

// Calls tap(input index, or -1 outside the image) over one window in row-major order.
template <class Tap>
void visit_pool_taps(const PoolDims& d, i64 n, i64 row, i64 col, i64 c, Tap&& tap) {
  for (i64 r = row; r < row + d.kernel; ++r)
    for (i64 s = col; s < col + d.kernel; ++s) {
      const bool inside = r >= 0 && r < d.h && s >= 0 && s < d.w;
      tap(inside ? ((n * d.h + r) * d.w + s) * d.c + c : -1);
    }
}

template <class T>
void pool_ref(const PoolCallT<T>& call) {
  const PoolDims& d = call.dims;
  const T lowest(-std::numeric_limits<double>::infinity());
  visit_pool_windows(d, call.out_h, call.out_w, [&](i64 out, i64 n, i64 row, i64 col, i64 c) {
    T best = lowest, sum(0);
    i64 count = 0;
    visit_pool_taps(d, n, row, col, c, [&](i64 in) {
      if (d.kind == PoolKind::max) {
        const T x = in < 0 ? lowest : call.x[in];
        if (x > best) best = x;
      } else {
        sum += in < 0 ? T(0) : call.x[in];
        count += in >= 0;
      }
    });
    call.y[out] = d.kind == PoolKind::max ? best : sum / T(double(count));
  });
}

template <class T>
void pool_grad_ref(const PoolGradCallT<T>& call) {
  const PoolDims& d = call.dims;
  const T lowest(-std::numeric_limits<double>::infinity());
  for (i64 i = 0; i < d.n * d.h * d.w * d.c; ++i) call.gx[i] = T(0);
  visit_pool_windows(d, call.out_h, call.out_w, [&](i64 out, i64 n, i64 row, i64 col, i64 c) {
    if (d.kind == PoolKind::max) {
      T best = lowest;
      i64 winner = -1;
      visit_pool_taps(d, n, row, col, c, [&](i64 in) {
        const T x = in < 0 ? lowest : call.x[in];
        if (x > best || (winner < 0 && in >= 0)) {
          best = x;
          winner = in;
        }
      });
      call.gx[winner] += call.gy[out];
    } else {
      i64 count = 0;
      visit_pool_taps(d, n, row, col, c, [&](i64 in) { count += in >= 0; });
      const T share = call.gy[out] / T(double(count));
      visit_pool_taps(d, n, row, col, c, [&](i64 in) {
        T outside(0);
        (in < 0 ? outside : call.gx[in]) += share;
      });
    }
  });
}

template <class T>
void global_avg_pool_ref(const GlobalAvgPoolCallT<T>& call) {
  const GlobalPoolDims& d = call.dims;
  for (i64 n = 0; n < d.n; ++n)
    for (i64 c = 0; c < d.c; ++c) {
      T sum(0);
      for (i64 i = 0; i < d.hw; ++i) sum += call.x[(n * d.hw + i) * d.c + c];
      call.y[n * d.c + c] = sum / T(double(d.hw));
    }
}

template <class T>
void global_avg_pool_grad_ref(const GlobalAvgPoolGradCallT<T>& call) {
  const GlobalPoolDims& d = call.dims;
  for (i64 n = 0; n < d.n; ++n)
    for (i64 c = 0; c < d.c; ++c) {
      const T share = call.gy[n * d.c + c] / T(double(d.hw));
      for (i64 i = 0; i < d.hw; ++i) call.gx[(n * d.hw + i) * d.c + c] = share;
    }
}

}  // namespace offramp::kernels
