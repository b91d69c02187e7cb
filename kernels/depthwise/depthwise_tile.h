// Depthwise convolutions on the card. A block takes a slab of channels and walks over items: a band of rows
// of one sample, or several small samples. The input of an item, formed while it is loaded, lies in shared
// memory with its border of zeros; threads take two channels and strips of four outputs of a row; results
// pass through shared memory once more, so that they are stored, and summed over rows, eight channels at a
// time (normed_epilogues.h). The gradient of the input is the same convolution over gy with the kernel turned
// round; for a stride of 2 gy stands for a map with zeros between its pixels, of which only gy is kept and
// only the taps that meet it are multiplied.
#pragma once
#include "kernels/cuda/divide.h"
#include "kernels/depthwise/depthwise_call.h"
#include "kernels/normed/normed_epilogues.h"

namespace offramp::kernels::cuda {

// Pixels of a tensor [n,h,w,c], formed as `in` says; zero outside.
template <class T>
struct NormedPixels {
  using Column = NormedChannels;
  struct Raw {
    Eight<T> x;
    bool inside;
  };
  NormedT<T> in;
  int h, w;
  i64 channels;
  bool wide;
  __device__ Column column(int c, int count) const { return channels_of(in, c, count); }
  __device__ __forceinline__ Raw fetch(int n, int y, int x, int c, int count) const {
    const bool inside = y >= 0 && y < h && x >= 0 && x < w;
    return {cuda::fetch(element(in.x, (n * h + y) * w + x, channels, c), wide, inside ? count : 0), inside};
  }
  __device__ __forceinline__ Floats<kLanes> value(const Column& p, const Raw& raw) const {
    return raw.inside ? formed(in, p, values(raw.x)) : zeros();
  }
};
// Pixels of the gradient of a raw result.
template <class T>
struct GradPixels {
  using Column = GradChannels;
  struct Raw {
    Eight<T> dz, y;
    bool inside;
  };
  NormedGradT<T> g;
  int h, w;
  i64 channels;
  bool wide;
  __device__ Column column(int c, int count) const { return channels_of(g, c, count); }
  __device__ __forceinline__ Raw fetch(int n, int y, int x, int c, int count) const {
    Raw raw;
    raw.inside = y >= 0 && y < h && x >= 0 && x < w;
    const int row = (n * h + y) * w + x;
    raw.dz = cuda::fetch(element(g.dz, row, channels, c), wide, raw.inside ? count : 0);
    if (g.y) raw.y = cuda::fetch(element(g.y, row, channels, c), wide, raw.inside ? count : 0);
    return raw;
  }
  __device__ __forceinline__ Floats<kLanes> value(const Column& p, const Raw& raw) const {
    const Floats<kLanes> dz = values(raw.dz);
    return g.y && raw.inside ? formed(p, dz, values(raw.y)) : dz;
  }
};

// A window along one axis, kernel and step known to the compiler. kUp = false: output o reads inputs o *
// kStep - pad + 0..kKernel-1. kUp = true: the gradient's window, outputs are kStep times as dense as inputs:
// output o reads (o + pad - k) / kStep where that is whole.
template <int kKernel, int kStep, bool kUp>
struct Window {
  static constexpr int kTaps = kKernel;
  // Inputs that `outputs` neighbouring outputs read, the first of which is a multiple of kStep.
  __host__ __device__ static constexpr int reach(int outputs, int pad) {
    if (!kUp) return (outputs - 1) * kStep + kKernel;
    return below(outputs - 1 + pad) - below(pad - (kKernel - 1)) + 1;
  }
  // The first of them, for outputs that begin at `first`.
  __host__ __device__ static constexpr int begin(int first, int pad) {
    return kUp ? first / kStep + below(pad - (kKernel - 1)) : first * kStep - pad;
  }
  __host__ __device__ static constexpr int below(int v) {  // floor(v / kStep)
    return v >= 0 ? v / kStep : -((-v + kStep - 1) / kStep);
  }
};

// How outputs are cut into items. All in outputs of the convolution that is run (the input's pixels for its
// gradient).
struct DepthwiseItems {
  Divisor out_w, band;     // of a sample; rows of an item
  int out_h, samples;      // of a sample; of an item: whole samples when more than one
  Divisor bands, strips;   // of a sample; of a row
  Divisor tile_h, tile_w;  // of an item's input, border included, for one sample
  i64 n, items;
  int pad;
};

inline constexpr int kDepthwiseThreads = 256;
// Channels of a slab: 128 bytes of activations.
template <class T>
inline constexpr int kSlab = 128 / int(sizeof(T));

// kStrip outputs of a row are one thread's.
template <class Window, int kStrip>
DepthwiseItems cut_items(i64 n, i64 out_h, i64 out_w, int pad) {
  constexpr i64 kRoom = 40 * 1024, kPixel = 128;  // bytes of an item's input: several blocks a multiprocessor
  DepthwiseItems d{};
  d.n = n, d.out_h = int(out_h), d.out_w = Divisor(out_w), d.pad = pad;
  const i64 strips = ceil_div(out_w, kStrip);
  d.strips = Divisor(strips);
  const i64 width = Window::reach(int(strips) * kStrip, pad);
  d.tile_w = Divisor(width);
  i64 band = out_h;
  // Even, so that a band of a denser map begins where its input does.
  while (band > 2 && Window::reach(int(band), pad) * width * kPixel > kRoom)
    band = ((band + 1) / 2 + 1) / 2 * 2;
  d.band = Divisor(band);
  d.bands = Divisor(ceil_div(out_h, band));
  const i64 height = Window::reach(int(band), pad);
  d.tile_h = Divisor(height);
  d.samples = 1;
  if (d.bands.value() == 1)
    while (d.samples < 16 && d.samples < n && 2 * d.samples * height * width * kPixel <= kRoom &&
           d.samples * band * strips < 64)
      d.samples *= 2;
  d.items = d.bands.value() == 1 ? ceil_div(n, d.samples) : n * d.bands.value();
  return d;
}

// Where item `index` begins.
struct ItemPlace {
  int first_sample, first_row;
};
__device__ __forceinline__ ItemPlace place_of(const DepthwiseItems& d, int index) {
  if (d.bands.value() == 1) return {index * d.samples, 0};
  const int band = d.bands.split(index);
  return {index, band * d.band.value()};
}

// Two neighbouring channels in shared memory.
__device__ __forceinline__ float2 two(const float* p) { return whole<float2>(p); }
__device__ __forceinline__ float2 two(const Bf16* p) {
  const u32 pair = *reinterpret_cast<const u32*>(p);
  return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}

// Rows y0.. and columns x0.. of an item's samples into tile [samples][tile_h][tile_w][slab].
template <class T, class Pixels>
__device__ void load_tile(const Pixels& pixels, const DepthwiseItems& d, int first_sample, int y0, int x0,
                          const Divisor& tile_h, const Divisor& tile_w, int c0, int channels, T* tile) {
  constexpr int kGroups = kSlab<T> / kLanes;
  const int group = int(threadIdx.x) % kGroups, c = c0 + group * kLanes;
  const int count = lanes_in(c, channels), all = d.samples * tile_h.value() * tile_w.value();
  const typename Pixels::Column column = pixels.column(c, count);
  constexpr int kStep = kDepthwiseThreads / kGroups, kBatch = 4;
  for (int first = int(threadIdx.x) / kGroups; first < all; first += kBatch * kStep) {
    typename Pixels::Raw raw[kBatch];
#pragma unroll
    for (int b = 0; b < kBatch; ++b) {
      const int p = first + b * kStep;
      int s = p;
      const int x = tile_w.split(s), y = tile_h.split(s);
      const bool there = p < all && first_sample + s < int(d.n);
      raw[b] = pixels.fetch(first_sample + s, y0 + y, x0 + x, c, there ? count : 0);
      raw[b].inside = raw[b].inside && there;
    }
#pragma unroll
    for (int b = 0; b < kBatch; ++b)
      if (first + b * kStep < all)
        store<kLanes>(tile + (first + b * kStep) * kSlab<T> + group * kLanes, pixels.value(column, raw[b]));
  }
}

// Weights [tap][slab] of the slab; turned: the kernel the other way round.
template <class T>
__device__ void load_weights(const WeightView& w, int kernel, i64 c0, i64 channels, bool turned, float* to) {
  const int taps = kernel * kernel;
  for (int i = int(threadIdx.x); i < taps * kSlab<T>; i += kDepthwiseThreads) {
    const int c = i % kSlab<T>, tap = turned ? taps - 1 - i / kSlab<T> : i / kSlab<T>;
    to[i] =
        c0 + c < channels
            ? w.data[(c0 + c) * w.to_next_out + tap / kernel * w.to_next_row + tap % kernel * w.to_next_tap]
            : 0.0f;
  }
}

// Adds to the sums of kStrip outputs of a row what one row of the tile gives them; line: the first pixel that
// any of them reads, two channels of it; tap: that row's weights, kKernel of them; both kDistance apart.
template <class T, int kKernel, int kStep, bool kUp, bool kOdd, int kStrip, int kDistance = kSlab<T>>
__device__ __forceinline__ void add_row(const T* line, const float* tap, float2 (&sum)[kStrip]) {
  using Along = Window<kKernel, kStep, kUp>;
  float2 of_tap[kKernel];
#pragma unroll
  for (int k = 0; k < kKernel; ++k) of_tap[k] = two(tap + k * kDistance);
  // Of the padding only the parity matters here, the rest moved the line.
  constexpr int kPad = kUp ? kKernel - 1 + (kOdd ? 1 : 0) : 0, kRead = Along::reach(kStrip, kPad);
#pragma unroll
  for (int r = 0; r < kRead; ++r) {
    const float2 v = two(line + r * kDistance);
#pragma unroll
    for (int p = 0; p < kStrip; ++p) {
      // Without kUp: r = p * kStep + k. With it: r * kStep = p + kPad - k.
      const int k = kUp ? p + kPad - r * kStep : r - p * kStep;
      if (k < 0 || k >= kKernel) continue;
      sum[p].x = fmaf(v.x, of_tap[k].x, sum[p].x);
      sum[p].y = fmaf(v.y, of_tap[k].y, sum[p].y);
    }
  }
}

template <class T, int kKernel, int kStep, bool kUp, bool kOdd, int kStrip, class Pixels, class Epilogue>
__global__ void __launch_bounds__(kDepthwiseThreads, 2)
    depthwise_rows(Pixels pixels, WeightView w, bool turned, Epilogue epilogue, DepthwiseItems d,
                   int channels, Parts parts, LiveRows live) {
  using Tile = ColumnThreads<kDepthwiseThreads, kSlab<T>>;
  using Along = Window<kKernel, kStep, kUp>;
  constexpr int kPairs = kSlab<T> / 2, kBatch = 4;
  T* const tile = dynamic_shared<T>();
  const int tile_w = d.tile_w.value(), tile_h = d.tile_h.value(), out_w = d.out_w.value();
  const int outs = d.samples * d.band.value() * out_w;
  T* const results = tile + d.samples * tile_h * tile_w * kSlab<T>;
  float* const weights = reinterpret_cast<float*>(results + outs * kSlab<T>);
  const int c0 = int(blockIdx.y) * kSlab<T>, c = c0 + Tile::group() * kLanes, count = lanes_in(c, channels);
  const int pair = int(threadIdx.x) % kPairs, position = int(threadIdx.x) / kPairs;
  typename Epilogue::State state;
  const typename Epilogue::Column column = epilogue.column(c, count);
  load_weights<T>(w, kKernel, c0, channels, turned, weights);

  for (int item = int(blockIdx.x); item < int(d.items); item += int(gridDim.x)) {
    const ItemPlace place = place_of(d, item);
    if (Epilogue::kFields == 0 && live.beyond(place.first_sample)) break;
    load_tile<T>(pixels, d, place.first_sample, Along::begin(place.first_row, d.pad), Along::begin(0, d.pad),
                 d.tile_h, d.tile_w, c0, channels, tile);
    __syncthreads();
    for (int i = position; i < d.samples * d.band.value() * d.strips.value();
         i += kDepthwiseThreads / kPairs) {
      int row = i;
      const int x0 = d.strips.split(row) * kStrip;
      int s = row;
      const int y = d.band.split(s);
      float2 sum[kStrip];
#pragma unroll
      for (int p = 0; p < kStrip; ++p) sum[p] = make_float2(0, 0);
      const T* const corner =
          tile + (s * tile_h * tile_w + (kUp ? x0 / kStep : x0 * kStep)) * kSlab<T> + 2 * pair;
      // The taps of this row of outputs: all, or those of its parity.
      const int first = kUp ? (y + d.pad) % kStep : 0;
#pragma unroll 1
      for (int k = first; k < kKernel; k += kUp ? kStep : 1) {
        const int line = kUp ? (y + d.pad - k) / kStep - Along::begin(0, d.pad) : y * kStep + k;
        add_row<T, kKernel, kStep, kUp, kOdd>(corner + line * tile_w * kSlab<T>,
                                              weights + k * kKernel * kSlab<T> + 2 * pair, sum);
      }
#pragma unroll
      for (int p = 0; p < kStrip; ++p)
        if (x0 + p < out_w) {
          Floats<2> v;
          v.v[0] = sum[p].x, v.v[1] = sum[p].y;
          store<2>(results + (row * out_w + x0 + p) * kSlab<T> + 2 * pair, v);
        }
    }
    __syncthreads();
    if (item == int(blockIdx.x)) epilogue.begin(state, load<kLanes>(results + Tile::group() * kLanes));
    // An item's results lie in a row in y too: whole samples, or a band of one.
    const int before = (place.first_sample * d.out_h + place.first_row) * out_w,
              left = d.bands.value() == 1 ? (int(d.n) - place.first_sample) * d.out_h * out_w
                                          : (d.out_h - place.first_row) * out_w,
              there = left < outs ? left : outs;
    if (count > 0)
      for (int first = Tile::first_row(); first < there; first += kBatch * Tile::kRowStep) {
        typename Epilogue::Raw raw[kBatch];
#pragma unroll
        for (int b = 0; b < kBatch; ++b) {
          const int p = first + b * Tile::kRowStep;
          raw[b] = epilogue.fetch(before + p, c, p < there ? count : 0);
        }
#pragma unroll
        for (int b = 0; b < kBatch; ++b) {
          const int p = first + b * Tile::kRowStep;
          if (p < there)
            epilogue.apply(state, column, raw[b], before + p, c, count,
                           load<kLanes>(results + p * kSlab<T> + Tile::group() * kLanes));
        }
      }
    __syncthreads();
  }
  epilogue.template finish<Tile>(state, parts, c0, channels);
}

inline constexpr int kWeightStrip = 4;
// gw [c][tap] = sum over outputs of gy * x.
template <class T, int kKernel, int kStride>
__global__ void __launch_bounds__(kDepthwiseThreads, kKernel == 3 ? 2 : 1)
    depthwise_weights(NormedPixels<T> x, GradPixels<T> gy, float* gw, DepthwiseItems d, Divisor width,
                      int channels, Parts parts) {
  using Along = Window<kKernel, kStride, false>;
  constexpr int kStrip = kWeightStrip, kPairs = kSlab<T> / 2, kRead = Along::reach(kStrip, 0),
                kTaps = kKernel * kKernel;
  const int tile_w = d.tile_w.value(), tile_h = d.tile_h.value();
  T* const tile = dynamic_shared<T>();
  T* const grads = tile + d.samples * tile_h * tile_w * kSlab<T>;
  const int c0 = int(blockIdx.y) * kSlab<T>;
  const int pair = int(threadIdx.x) % kPairs, position = int(threadIdx.x) / kPairs;
  float2 sum[kTaps];
#pragma unroll
  for (int t = 0; t < kTaps; ++t) sum[t] = make_float2(0, 0);

  for (int item = int(blockIdx.x); item < int(d.items); item += int(gridDim.x)) {
    const ItemPlace place = place_of(d, item);
    load_tile<T>(x, d, place.first_sample, Along::begin(place.first_row, d.pad), -d.pad, d.tile_h, d.tile_w,
                 c0, channels, tile);
    // gy of an item: no border, but whole strips and, below the last band, rows of zeros.
    load_tile<T>(gy, d, place.first_sample, place.first_row, 0, d.band, width, c0, channels, grads);
    __syncthreads();
    for (int i = position; i < d.samples * d.band.value() * d.strips.value();
         i += kDepthwiseThreads / kPairs) {
      int row = i;
      const int x0 = d.strips.split(row) * kStrip;
      int s = row;
      const int y = d.band.split(s);
      float2 g[kStrip];
#pragma unroll
      for (int p = 0; p < kStrip; ++p)
        g[p] = two(grads + (row * width.value() + x0 + p) * kSlab<T> + 2 * pair);
      const T* line = tile + ((s * tile_h + y * kStride) * tile_w + x0 * kStride) * kSlab<T> + 2 * pair;
#pragma unroll
      for (int ky = 0; ky < kKernel; ++ky, line += tile_w * kSlab<T>)
#pragma unroll
        for (int r = 0; r < kRead; ++r) {
          const float2 v = two(line + r * kSlab<T>);
#pragma unroll
          for (int p = 0; p < kStrip; ++p) {
            const int kx = r - p * kStride;
            if (kx < 0 || kx >= kKernel) continue;
            float2& to = sum[ky * kKernel + kx];
            to.x = fmaf(v.x, g[p].x, to.x);
            to.y = fmaf(v.y, g[p].y, to.y);
          }
        }
    }
    __syncthreads();
  }
  // Threads of a pair of channels one after the other.
  float* const all = dynamic_shared<float>();
  for (int turn = 0; turn < kDepthwiseThreads / kPairs; ++turn) {
    if (position == turn) {
#pragma unroll
      for (int t = 0; t < kTaps; ++t) {
        float* const to = all + t * kSlab<T> + 2 * pair;
        to[0] = turn ? to[0] + sum[t].x : sum[t].x;
        to[1] = turn ? to[1] + sum[t].y : sum[t].y;
      }
    }
    __syncthreads();
  }
  float* const part = parts.part + (i64(blockIdx.y) * parts.blocks + blockIdx.x) * parts.length;
  for (int i = int(threadIdx.x); i < kTaps * kSlab<T>; i += kDepthwiseThreads) part[i] = all[i];
  const float* total;
  if (!combine_parts<AddParts>(parts, blockIdx.y, int(blockIdx.x), kTaps * kSlab<T>, &total)) return;
  for (int i = int(threadIdx.x); i < kTaps * kSlab<T>; i += kDepthwiseThreads) {
    const int channel = c0 + i % kSlab<T>;
    if (channel < channels) *element(gw, channel, kTaps, i / kSlab<T>) = total[i];
  }
}

}  // namespace offramp::kernels::cuda
