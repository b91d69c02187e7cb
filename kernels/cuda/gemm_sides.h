// Operands of gemm_tile.h: what a row of eight neighbouring values is, and where it comes from.
#pragma once
#include "kernels/conv2d/conv2d_call.h"
#include "kernels/normed/normed_epilogues.h"

namespace offramp::kernels::cuda {

// p[row * row_step + c * c_step]
template <class T>
struct StridedSide {
  using Raw = Floats<kLanes>;
  using Column = NoColumn;
  const T* p;
  i64 rows, channels, row_step, c_step;
  bool wide;

  __device__ Column column(i64) const { return {}; }
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, const Column&) const {
    const int count = row < rows ? lanes_in(c, channels) : 0;
    if (count == 0) return zeros();
    const T* const at = p + row * row_step + c * c_step;
    if (wide || c_step == 1) return load_some(at, wide, count);
    Raw out;
#pragma unroll
    for (int i = 0; i < kLanes; ++i) out.v[i] = i < count ? to_float(at[i * c_step]) : 0.0f;
    return out;
  }
  __device__ __forceinline__ Floats<kLanes> finish(const Raw& raw, const Column&) const { return raw; }
};
template <class T>
StridedSide<T> rows_side(const T* p, i64 rows, i64 channels, i64 row_step) {
  return {p, rows, channels, row_step, 1, wide_rows(p, channels) && row_step % kLanes == 0};
}

// A tensor that is normalised, activated and gated while it is read.
template <class T>
struct NormedSide {
  struct Raw {
    Floats<kLanes> x, gate;
    int count;
  };
  using Column = NormedChannels;
  NormedT<T> in;
  i64 rows, channels, hw;
  bool wide;

  __device__ Column column(i64 c) const { return channels_of(in, c, lanes_in(c, channels)); }
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, const Column&) const {
    Raw raw;
    raw.count = row < rows ? lanes_in(c, channels) : 0;
    if (raw.count == 0) return raw;
    raw.x = load_some(in.x + row * channels + c, wide, raw.count);
    if (in.gate) raw.gate = load_some(in.gate + i64(u32(row) / u32(hw)) * channels + c, wide, raw.count);
    return raw;
  }
  __device__ __forceinline__ Floats<kLanes> finish(const Raw& raw, const Column& p) const {
    if (raw.count == 0) return zeros();
    Floats<kLanes> v = formed(in, p, raw.x);
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      if (in.gate) v.v[i] *= raw.gate.v[i];
      if (i >= raw.count) v.v[i] = 0;
    }
    return v;
  }
};

// The gradient of a raw result, formed while it is read.
template <class T>
struct GradSide {
  struct Raw {
    Floats<kLanes> dz, y;
    int count;
  };
  using Column = GradChannels;
  NormedGradT<T> g;
  i64 rows, channels;
  bool wide;

  __device__ Column column(i64 c) const { return channels_of(g, c, lanes_in(c, channels)); }
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, const Column&) const {
    Raw raw;
    raw.count = row < rows ? lanes_in(c, channels) : 0;
    if (raw.count == 0) return raw;
    raw.dz = load_some(g.dz + row * channels + c, wide, raw.count);
    if (g.y) raw.y = load_some(g.y + row * channels + c, wide, raw.count);
    return raw;
  }
  __device__ __forceinline__ Floats<kLanes> finish(const Raw& raw, const Column& p) const {
    if (raw.count == 0) return zeros();
    if (!g.y) return raw.dz;
    Floats<kLanes> v = formed(p, raw.dz, raw.y);
#pragma unroll
    for (int i = 0; i < kLanes; ++i)
      if (i >= raw.count) v.v[i] = 0;
    return v;
  }
};

// A tap of a k x k kernel and the channel in it.
struct Tap {
  int y, x;
  i64 c;
};
__device__ __forceinline__ Tap tap_of(i64 index, i64 channels, int kernel) {
  const u32 tap = u32(index) / u32(channels);
  return {int(tap / u32(kernel)), int(tap % u32(kernel)), index - i64(tap) * channels};
}

// Rows are pixels of a map [n,h,w,channels] seen through a k x k window: channel index = (tap, channel).
// gathers = false: row = output pixel, the window lies on the input (convolution). gathers = true: row =
// input pixel, the map is the output's, and a tap exists where the stride meets it (gradient of the input).
template <class T, bool gathers>
struct WindowSide {
  using Raw = Floats<kLanes>;
  using Column = Tap;
  const T* x;
  i64 map_h, map_w, channels;  // of the map that is read
  i64 grid_h, grid_w;          // of the pixels that are rows
  i64 rows, all;               // all = kernel * kernel * channels
  int kernel, stride, pad;
  bool wide;

  __device__ Column column(i64 c) const { return tap_of(c, channels, kernel); }
  __device__ __forceinline__ const T* pixel(i64 n, int gy, int gx, const Tap& tap) const {
    int y, xx;
    if constexpr (gathers) {
      y = gy + pad - tap.y, xx = gx + pad - tap.x;
      if (y % stride || xx % stride) return nullptr;
      y /= stride, xx /= stride;
    } else {
      y = gy * stride - pad + tap.y, xx = gx * stride - pad + tap.x;
    }
    if (y < 0 || y >= map_h || xx < 0 || xx >= map_w) return nullptr;
    return x + ((n * map_h + y) * map_w + xx) * channels + tap.c;
  }
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, const Column& tap) const {
    if (row >= rows || c >= all) return zeros();
    const u32 pixels = u32(grid_h * grid_w), n = u32(row) / pixels, in_map = u32(row) - n * pixels;
    const int gy = int(in_map / u32(grid_w)), gx = int(in_map - u32(gy) * u32(grid_w));
    if (wide) {
      const T* const p = pixel(n, gy, gx, tap);
      return p ? load<kLanes>(p) : zeros();
    }
    Raw out;
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      const T* const p = c + i < all ? pixel(n, gy, gx, tap_of(c + i, channels, kernel)) : nullptr;
      out.v[i] = p ? to_float(*p) : 0.0f;
    }
    return out;
  }
  __device__ __forceinline__ Floats<kLanes> finish(const Raw& raw, const Column&) const { return raw; }
};

// Weights [c_out][ky][kx][c_in] by distances. by_tap_out = false: rows are output channels, c = (tap, input
// channel). true: rows are (tap, output channel), c = input channel.
template <bool by_tap_out>
struct WeightSide {
  using Raw = Floats<kLanes>;
  using Column = Tap;
  WeightView w;
  i64 c_out, c_in;
  int kernel;
  bool wide;

  __device__ Column column(i64 c) const { return by_tap_out ? Tap{0, 0, c} : tap_of(c, c_in, kernel); }
  __device__ __forceinline__ const float* at(i64 out, const Tap& tap) const {
    return w.data + out * w.to_next_out + tap.y * w.to_next_row + tap.x * w.to_next_tap + tap.c;
  }
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, const Column& column) const {
    if constexpr (by_tap_out) {
      if (row >= c_out * kernel * kernel || c >= c_in) return zeros();
      const Tap tap = tap_of(row, c_out, kernel);
      return load_some(at(tap.c, {tap.y, tap.x, c}), wide, lanes_in(c, c_in));
    } else {
      const i64 all = c_in * kernel * kernel;
      if (row >= c_out || c >= all) return zeros();
      if (wide) return load<kLanes>(at(row, column));
      Raw out;
#pragma unroll
      for (int i = 0; i < kLanes; ++i) out.v[i] = c + i < all ? *at(row, tap_of(c + i, c_in, kernel)) : 0.0f;
      return out;
    }
  }
  __device__ __forceinline__ Floats<kLanes> finish(const Raw& raw, const Column&) const { return raw; }
};
template <bool by_tap_out>
WeightSide<by_tap_out> weight_side(const WeightView& w, i64 c_out, i64 c_in, i64 kernel) {
  const bool wide =
      wide_rows(w.data, c_in) && w.to_next_out % 4 == 0 && w.to_next_row % 4 == 0 && w.to_next_tap % 4 == 0;
  return {w, c_out, c_in, int(kernel), wide};
}

}  // namespace offramp::kernels::cuda
