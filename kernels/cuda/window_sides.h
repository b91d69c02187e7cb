// Maps seen through the window of a convolution, as operands of gemm_tile.h.
#pragma once
#include "kernels/cuda/gemm_sides.h"

namespace offramp::kernels::cuda {

inline i64 taps(const Conv2dDims& d) { return d.kernel * d.kernel; }

// x seen from the pixels of y.
template <class T>
WindowSide<T, false> input_side(const Conv2dDims& d, i64 out_h, i64 out_w, const T* x) {
  return {{},
          x,
          d.h,
          d.w,
          Divisor(d.c_in),
          Divisor(out_h),
          Divisor(out_w),
          d.n * out_h * out_w,
          taps(d) * d.c_in,
          Divisor(d.kernel),
          Divisor(d.stride),
          int(d.pad),
          wide_rows(x, d.c_in)};
}
// gy seen from the pixels of x.
template <class T>
WindowSide<T, true> output_side(const Conv2dDims& d, i64 out_h, i64 out_w, const T* gy) {
  return {{},
          gy,
          out_h,
          out_w,
          Divisor(d.c_out),
          Divisor(d.h),
          Divisor(d.w),
          d.n * d.h * d.w,
          taps(d) * d.c_out,
          Divisor(d.kernel),
          Divisor(d.stride),
          int(d.pad),
          wide_rows(gy, d.c_out)};
}

// The gradient of a raw result seen from the pixels of x, formed while it is read.
template <class T>
struct WindowGradSide {
  struct Raw {
    Eight<T> dz, y;
    u32 there;  // a bit for each of the eight that is not outside
  };
  static constexpr int kParameters = kParametersOf<SlopedGradT<T>>;
  WindowSide<T, true> window;  // on g.dz
  SlopedGradT<T> g;

  // Every tap has the same channels. Where they are read one at a time, eight in a row begin at any of them
  // and may go on in the next tap.
  __host__ __device__ i64 channels_along(i64) const {
    return window.channels.value() + (window.wide ? 0 : kLanes - 1);
  }
  __device__ __forceinline__ int channel_of(int c) const { return window.channels.split(c); }
  __device__ void put_parameters(i64 c, float* to, int stride, int at) const {
    put_channel(g, channel_of(int(c)), true, to, stride, at);
  }
  __device__ __forceinline__ Raw fetch(int row, int c) const {
    const bool inside = row < int(window.rows) && c < int(window.all);
    int n = row;
    const int gx = window.grid_w.split(n), gy = window.grid_h.split(n);
    const auto at = [&](int index) {
      return window.pixel(n, gy, gx, tap_of(index, window.channels, window.kernel));
    };
    if (window.wide) {
      const T* const p = inside ? at(c) : nullptr;
      const int count = p ? kLanes : 0;
      return {cuda::fetch(p, true, count), cuda::fetch(p ? g.y + (p - g.dz) : nullptr, true, count),
              p ? 0xffu : 0u};
    }
    T dz[kLanes], y[kLanes];
    u32 there = 0;
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      const T* const p = inside && c + i < window.all ? at(c + i) : nullptr;
      dz[i] = p ? *p : T(0.0f);
      y[i] = p ? g.y[p - g.dz] : T(0.0f);
      there |= p ? 1u << i : 0u;
    }
    return {packed(dz), packed(y), there};
  }
  __device__ __forceinline__ Floats<kLanes> finish(const Raw& raw, const float* p, int stride) const {
    Floats<kLanes> v = formed(g, SharedChannels{p, stride, window.wide}, values(raw.dz), values(raw.y));
#pragma unroll
    for (int i = 0; i < kLanes; ++i)
      if (!(raw.there >> i & 1)) v.v[i] = 0;
    return v;
  }
};
template <class T>
WindowGradSide<T> output_side(const Conv2dDims& d, i64 out_h, i64 out_w, const SlopedGradT<T>& g) {
  WindowGradSide<T> side{output_side(d, out_h, out_w, g.dz), g};
  side.window.wide = side.window.wide && wide_rows(g.y, d.c_out);
  return side;
}

}  // namespace offramp::kernels::cuda
