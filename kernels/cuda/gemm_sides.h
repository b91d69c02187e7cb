// Operands of gemm_tile.h: what a row of eight neighbouring values is, and where it comes from.
#pragma once
#include "kernels/conv2d/conv2d_call.h"
#include "kernels/cuda/divide.h"
#include "kernels/normed/normed_epilogues.h"

namespace offramp::kernels::cuda {

// A side whose every c is a channel of its own.
struct OwnChannels {
  __host__ __device__ static i64 channels_along(i64 k) { return k; }
  __device__ static int channel_of(int c) { return c; }
};
// A side without parameters of its channels.
struct PlainSide : OwnChannels {
  static constexpr int kParameters = 0;
  __device__ void put_parameters(i64, float*, int, int) const {}
};

// p[row * row_step + c * c_step]
template <class T>
struct StridedSide : PlainSide {
  using Raw = Eight<T>;
  const T* p;
  i64 rows, channels, row_step, c_step;
  bool wide;

  __device__ __forceinline__ Raw fetch(int row, int c) const {
    const int count = row < int(rows) ? lanes_in(c, int(channels)) : 0;
    if (wide || c_step == 1) return cuda::fetch(element(p, row, row_step, c), wide, count);
    const T* const at = p + row * row_step + c * c_step;
    T apart[kLanes];
#pragma unroll
    for (int i = 0; i < kLanes; ++i) apart[i] = i < count ? at[i * c_step] : T(0.0f);
    return packed(apart);
  }
  __device__ __forceinline__ Floats<kLanes> finish(const Raw& raw, const float*, int) const {
    return values(raw);
  }
};
template <class T>
StridedSide<T> rows_side(const T* p, i64 rows, i64 channels, i64 row_step) {
  return {{}, p, rows, channels, row_step, 1, wide_rows(p, channels) && row_step % kLanes == 0};
}

// A tensor that is normalised, activated and gated while it is read.
template <class T>
struct NormedSide : OwnChannels {
  struct Raw {
    Eight<T> x, gate;
    bool valid;
  };
  static constexpr int kParameters = kParametersOf<NormedT<T>>;
  NormedT<T> in;
  i64 rows, channels;
  Divisor hw;
  bool wide;

  __device__ void put_parameters(i64 c, float* to, int stride, int at) const {
    put_channel(in, c, c < channels, to, stride, at);
  }
  __device__ __forceinline__ Raw fetch(int row, int c) const {
    const int count = row < int(rows) ? lanes_in(c, int(channels)) : 0;
    Raw raw;
    raw.valid = count > 0;
    raw.x = cuda::fetch(element(in.x, row, channels, c), wide, count);
    if (in.gate) raw.gate = cuda::fetch(element(in.gate, hw.quotient(row), channels, c), wide, count);
    return raw;
  }
  // Channels that do not exist have scale and beta 0, but some activations are not 0 there.
  __device__ __forceinline__ Floats<kLanes> finish(const Raw& raw, const float* p, int stride) const {
    Floats<kLanes> v = formed(in, SharedChannels{p, stride}, values(raw.x));
    if (in.gate) {
      const Floats<kLanes> gate = values(raw.gate);
#pragma unroll
      for (int i = 0; i < kLanes; ++i) v.v[i] *= gate.v[i];
    }
    return raw.valid ? v : zeros();
  }
};

// The gradient of a raw result, formed while it is read. Grad: NormedGradT<T>, SlopedGradT<T>.
template <class T, class Grad = NormedGradT<T>>
struct GradSide : OwnChannels {
  struct Raw {
    Eight<T> dz, y;
    bool valid;
  };
  static constexpr int kParameters = kParametersOf<Grad>;
  Grad g;
  i64 rows, channels;
  bool wide;

  __device__ void put_parameters(i64 c, float* to, int stride, int at) const {
    put_channel(g, c, c < channels, to, stride, at);
  }
  __device__ __forceinline__ Raw fetch(int row, int c) const {
    const int count = row < int(rows) ? lanes_in(c, int(channels)) : 0;
    Raw raw;
    raw.valid = count > 0;
    raw.dz = cuda::fetch(element(g.dz, row, channels, c), wide, count);
    if (g.y) raw.y = cuda::fetch(element(g.y, row, channels, c), wide, count);
    return raw;
  }
  __device__ __forceinline__ Floats<kLanes> finish(const Raw& raw, const float* p, int stride) const {
    const Floats<kLanes> dz = values(raw.dz);
    if (!g.y || !raw.valid) return dz;
    return formed(g, SharedChannels{p, stride}, dz, values(raw.y));
  }
};

// A tap of a k x k kernel and the channel in it.
struct Tap {
  int y, x, c;
};
__device__ __forceinline__ Tap tap_of(int index, const Divisor& channels, const Divisor& kernel) {
  int tap = index;
  const int c = channels.split(tap), x = kernel.split(tap);
  return {tap, x, c};
}

// Rows are pixels of a map [n,h,w,channels] seen through a k x k window: channel index = (tap, channel).
// gathers = false: row = output pixel, the window lies on the input (convolution). gathers = true: row =
// input pixel, the map is the output's, and a tap exists where the stride meets it (gradient of the input).
template <class T, bool gathers>
struct WindowSide : PlainSide {
  using Raw = Eight<T>;
  const T* x;
  i64 map_h, map_w;  // of the map that is read
  Divisor channels;
  Divisor grid_h, grid_w;  // of the pixels that are rows
  i64 rows, all;           // all = kernel * kernel * channels
  Divisor kernel, stride;
  int pad;
  bool wide;

  __device__ __forceinline__ const T* pixel(int n, int gy, int gx, const Tap& tap) const {
    int y, xx;
    if constexpr (gathers) {
      y = gy + pad - tap.y, xx = gx + pad - tap.x;
      if (y < 0 || xx < 0 || stride.split(y) || stride.split(xx)) return nullptr;
    } else {
      y = gy * stride.value() - pad + tap.y, xx = gx * stride.value() - pad + tap.x;
    }
    if (y < 0 || y >= int(map_h) || xx < 0 || xx >= int(map_w)) return nullptr;
    return element(x, (n * int(map_h) + y) * int(map_w) + xx, channels.value(), tap.c);
  }
  __device__ __forceinline__ Raw fetch(int row, int c) const {
    const bool inside = row < int(rows) && c < int(all);
    int n = row;
    const int gx = grid_w.split(n), gy = grid_h.split(n);
    if (wide) {
      const T* const p = inside ? pixel(n, gy, gx, tap_of(c, channels, kernel)) : nullptr;
      return cuda::fetch(p, true, p ? kLanes : 0);
    }
    T apart[kLanes];
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      const T* const p = inside && c + i < all ? pixel(n, gy, gx, tap_of(c + i, channels, kernel)) : nullptr;
      apart[i] = p ? *p : T(0.0f);
    }
    return packed(apart);
  }
  __device__ __forceinline__ Floats<kLanes> finish(const Raw& raw, const float*, int) const {
    return values(raw);
  }
};

// Weights [c_out][ky][kx][c_in] by distances. by_tap_out = false: rows are output channels, c = (tap, input
// channel). true: rows are (tap, output channel), c = input channel.
template <bool by_tap_out>
struct WeightSide : PlainSide {
  using Raw = Eight<float>;
  WeightView w;
  Divisor c_out, c_in, kernel;
  bool wide;

  __device__ __forceinline__ const float* at(int out, const Tap& tap) const {
    return w.data + out * w.to_next_out + tap.y * w.to_next_row + tap.x * w.to_next_tap + tap.c;
  }
  __device__ __forceinline__ Raw fetch(int row, int c) const {
    if constexpr (by_tap_out) {
      const int count = row < c_out.value() * kernel.value() * kernel.value() ? lanes_in(c, c_in.value()) : 0;
      const Tap tap = tap_of(row, c_out, kernel);
      return cuda::fetch(at(tap.c, {tap.y, tap.x, c}), wide, count);
    } else {
      const int all = c_in.value() * kernel.value() * kernel.value();
      const bool inside = row < c_out.value() && c < all;
      if (wide) return cuda::fetch(at(row, tap_of(c, c_in, kernel)), true, inside ? kLanes : 0);
      float apart[kLanes];
#pragma unroll
      for (int i = 0; i < kLanes; ++i)
        apart[i] = inside && c + i < all ? *at(row, tap_of(c + i, c_in, kernel)) : 0.0f;
      return packed(apart);
    }
  }
  __device__ __forceinline__ Floats<kLanes> finish(const Raw& raw, const float*, int) const {
    return values(raw);
  }
};
template <bool by_tap_out>
WeightSide<by_tap_out> weight_side(const WeightView& w, i64 c_out, i64 c_in, i64 kernel) {
  const bool wide =
      wide_rows(w.data, c_in) && w.to_next_out % 4 == 0 && w.to_next_row % 4 == 0 && w.to_next_tap % 4 == 0;
  return {{}, w, Divisor(c_out), Divisor(c_in), Divisor(kernel), wide};
}

}  // namespace offramp::kernels::cuda
