// Depthwise convolutions on the card. A block takes a slab of channels and walks over items: a band of rows
// of one sample, or several small samples. The input of an item, formed while it is loaded, lies in shared
// memory with its border of zeros; threads take two channels and strips of four outputs of a row; results
// pass through shared memory once more, so that they are stored, and summed over rows, eight channels at a
// time (normed_epilogues.h). The gradient of the input is the same convolution over gy with the kernel turned
// round, for strides above 1 over gy spread out with zeros between.
#pragma once
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
  __device__ Column column(i64 c, int count) const { return channels_of(in, c, count); }
  __device__ __forceinline__ Raw fetch(i64 n, int y, int x, i64 c, int count) const {
    const bool inside = y >= 0 && y < h && x >= 0 && x < w;
    return {cuda::fetch(in.x + ((n * h + y) * w + x) * channels + c, wide, inside ? count : 0), inside};
  }
  __device__ __forceinline__ Floats<kLanes> value(const Column& p, const Raw& raw) const {
    return raw.inside ? formed(in, p, values(raw.x)) : zeros();
  }
};
// Pixels of the gradient of a raw result, `spread` apart.
template <class T>
struct GradPixels {
  using Column = GradChannels;
  struct Raw {
    Eight<T> dz, y;
    bool inside;
  };
  NormedGradT<T> g;
  int h, w, spread;
  i64 channels;
  bool wide;
  __device__ Column column(i64 c, int count) const { return channels_of(g, c, count); }
  __device__ __forceinline__ Raw fetch(i64 n, int y, int x, i64 c, int count) const {
    bool inside = y >= 0 && x >= 0;
    if (spread == 2) inside = inside && (y | x) % 2 == 0, y /= 2, x /= 2;
    inside = inside && y < h && x < w;
    const i64 place = ((n * h + y) * w + x) * channels + c;
    Raw raw;
    raw.inside = inside;
    raw.dz = cuda::fetch(g.dz + place, wide, inside ? count : 0);
    if (g.y) raw.y = cuda::fetch(g.y + place, wide, inside ? count : 0);
    return raw;
  }
  __device__ __forceinline__ Floats<kLanes> value(const Column& p, const Raw& raw) const {
    const Floats<kLanes> dz = values(raw.dz);
    return g.y && raw.inside ? formed(p, dz, values(raw.y)) : dz;
  }
};

// How outputs are cut into items. All in outputs of the convolution that is run (the input's pixels for its
// gradient).
struct DepthwiseItems {
  int out_h, out_w;    // of a sample
  int band, samples;   // rows of an item; whole samples when more than one
  int bands;           // of a sample
  int tile_h, tile_w;  // of an item's input, border included, for one sample
  i64 n, items;
  int pad;
};

inline constexpr int kDepthwiseThreads = 256, kStrip = 4;
// Channels of a slab: 128 bytes of activations.
template <class T>
inline constexpr int kSlab = 128 / int(sizeof(T));

inline DepthwiseItems cut_items(i64 n, i64 out_h, i64 out_w, int kernel, int stride, int pad,
                                i64 bytes_per_pixel) {
  DepthwiseItems d{};
  constexpr i64 kRoom = 40 * 1024;  // bytes of an item's input: four blocks a multiprocessor
  d.n = n, d.out_h = int(out_h), d.out_w = int(out_w), d.pad = pad;
  const i64 strips = ceil_div(out_w, kStrip);
  d.tile_w = int((strips * kStrip - 1) * stride + kernel);
  const auto height = [&](i64 band) { return (band - 1) * stride + kernel; };
  i64 band = out_h;
  while (band > 1 && height(band) * d.tile_w * bytes_per_pixel > kRoom) band = (band + 1) / 2;
  d.band = int(band);
  d.bands = int(ceil_div(out_h, band));
  d.tile_h = int(height(band));
  d.samples = 1;
  if (d.bands == 1)
    while (d.samples < 16 && d.samples < n &&
           2 * d.samples * d.tile_h * d.tile_w * bytes_per_pixel <= kRoom && d.samples * band * strips < 64)
      d.samples *= 2;
  d.items = d.bands == 1 ? ceil_div(n, d.samples) : n * d.bands;
  return d;
}

// Where item `index` begins.
struct ItemPlace {
  i64 first_sample;
  int first_row;
};
__device__ __forceinline__ ItemPlace place_of(const DepthwiseItems& d, i64 index) {
  if (d.bands == 1) return {index * d.samples, 0};
  return {index / d.bands, int(index % d.bands) * d.band};
}

// Two neighbouring channels in shared memory.
__device__ __forceinline__ float2 two(const float* p) { return *reinterpret_cast<const float2*>(p); }
__device__ __forceinline__ float2 two(const Bf16* p) {
  const u32 pair = *reinterpret_cast<const u32*>(p);
  return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}

// The input of an item into tile [samples][tile_h][tile_w][slab].
template <class T, class Pixels>
__device__ void load_tile(const Pixels& pixels, const DepthwiseItems& d, const ItemPlace& place, int stride,
                          i64 c0, i64 channels, T* tile) {
  constexpr int kGroups = kSlab<T> / kLanes;
  const int group = int(threadIdx.x) % kGroups;
  const i64 c = c0 + group * kLanes;
  const int count = lanes_in(c, channels), all = d.samples * d.tile_h * d.tile_w;
  const typename Pixels::Column column = pixels.column(c, count);
  constexpr int kStep = kDepthwiseThreads / kGroups, kBatch = 4;
  for (int first = int(threadIdx.x) / kGroups; first < all; first += kBatch * kStep) {
    typename Pixels::Raw raw[kBatch];
#pragma unroll
    for (int b = 0; b < kBatch; ++b) {
      const int p = first + b * kStep, x = p % d.tile_w, row = p / d.tile_w, y = row % d.tile_h,
                s = row / d.tile_h;
      const bool there = p < all && place.first_sample + s < d.n;
      raw[b] = pixels.fetch(place.first_sample + s, place.first_row * stride + y - d.pad, x - d.pad, c,
                            there ? count : 0);
      raw[b].inside = raw[b].inside && there;
    }
#pragma unroll
    for (int b = 0; b < kBatch; ++b)
      if (first + b * kStep < all)
        store<kLanes>(tile + i64(first + b * kStep) * kSlab<T> + group * kLanes,
                      pixels.value(column, raw[b]));
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

template <class T, int kKernel, int kStride, class Pixels, class Epilogue>
__global__ void __launch_bounds__(kDepthwiseThreads, 2)
    depthwise_rows(Pixels pixels, WeightView w, bool turned, Epilogue epilogue, DepthwiseItems d,
                   i64 channels, Parts parts) {
  using Tile = ColumnThreads<kDepthwiseThreads, kSlab<T>>;
  constexpr int kPairs = kSlab<T> / 2, kRead = (kStrip - 1) * kStride + kKernel, kBatch = 4;
  T* const tile = dynamic_shared<T>();
  const int in_floats = d.samples * d.tile_h * d.tile_w * kSlab<T>;
  const int strips = (d.out_w + kStrip - 1) / kStrip, outs = d.samples * d.band * d.out_w;
  T* const results = tile + in_floats;
  float* const weights = reinterpret_cast<float*>(results + outs * kSlab<T>);
  const i64 c0 = i64(blockIdx.y) * kSlab<T>, c = c0 + Tile::group() * kLanes;
  const int count = lanes_in(c, channels);
  const int pair = int(threadIdx.x) % kPairs, position = int(threadIdx.x) / kPairs;
  typename Epilogue::State state;
  const typename Epilogue::Column column = epilogue.column(c, count);
  load_weights<T>(w, kKernel, c0, channels, turned, weights);

  for (i64 item = blockIdx.x; item < d.items; item += gridDim.x) {
    const ItemPlace place = place_of(d, item);
    load_tile<T>(pixels, d, place, kStride, c0, channels, tile);
    __syncthreads();
    for (int i = position; i < d.samples * d.band * strips; i += kDepthwiseThreads / kPairs) {
      const int x0 = i % strips * kStrip, row = i / strips, y = row % d.band, s = row / d.band;
      float2 sum[kStrip];
#pragma unroll
      for (int p = 0; p < kStrip; ++p) sum[p] = make_float2(0, 0);
      const T* line =
          tile + (i64(s * d.tile_h + y * kStride) * d.tile_w + x0 * kStride) * kSlab<T> + 2 * pair;
      const float* tap = weights + 2 * pair;
#pragma unroll 1
      for (int ky = 0; ky < kKernel; ++ky, line += d.tile_w * kSlab<T>, tap += kKernel * kSlab<T>) {
        float2 of_tap[kKernel];
#pragma unroll
        for (int kx = 0; kx < kKernel; ++kx) of_tap[kx] = two(tap + kx * kSlab<T>);
#pragma unroll
        for (int r = 0; r < kRead; ++r) {
          const float2 v = two(line + r * kSlab<T>);
#pragma unroll
          for (int p = 0; p < kStrip; ++p) {
            const int kx = r - p * kStride;
            if (kx < 0 || kx >= kKernel) continue;
            sum[p].x = fmaf(v.x, of_tap[kx].x, sum[p].x);
            sum[p].y = fmaf(v.y, of_tap[kx].y, sum[p].y);
          }
        }
      }
#pragma unroll
      for (int p = 0; p < kStrip; ++p)
        if (x0 + p < d.out_w) {
          Floats<2> v;
          v.v[0] = sum[p].x, v.v[1] = sum[p].y;
          store<2>(results + (row * d.out_w + x0 + p) * kSlab<T> + 2 * pair, v);
        }
    }
    __syncthreads();
    if (item == blockIdx.x) epilogue.begin(state, load<kLanes>(results + Tile::group() * kLanes));
    if (count > 0)
      for (int first = Tile::first_row(); first < outs; first += kBatch * Tile::kRowStep) {
        typename Epilogue::Raw raw[kBatch];
        i64 at[kBatch];
#pragma unroll
        for (int b = 0; b < kBatch; ++b) {
          const int p = first + b * Tile::kRowStep, x = p % d.out_w, row = p / d.out_w,
                    y = place.first_row + row % d.band;
          const i64 n = place.first_sample + row / d.band;
          const bool there = p < outs && n < d.n && y < d.out_h;
          at[b] = there ? (n * d.out_h + y) * d.out_w + x : -1;
          raw[b] = epilogue.fetch(at[b], c, there ? count : 0);
        }
#pragma unroll
        for (int b = 0; b < kBatch; ++b)
          if (at[b] >= 0)
            epilogue.apply(
                state, column, raw[b], at[b], c, count,
                load<kLanes>(results + (first + b * Tile::kRowStep) * kSlab<T> + Tile::group() * kLanes));
      }
    __syncthreads();
  }
  epilogue.template finish<Tile>(state, parts, c0, channels);
}

// gw [c][tap] = sum over outputs of gy * x.
template <class T, int kKernel, int kStride>
__global__ void __launch_bounds__(kDepthwiseThreads, kKernel == 3 ? 2 : 1)
    depthwise_weights(NormedPixels<T> x, GradPixels<T> gy, float* gw, DepthwiseItems d, i64 channels,
                      Parts parts) {
  constexpr int kPairs = kSlab<T> / 2, kRead = (kStrip - 1) * kStride + kKernel, kTaps = kKernel * kKernel;
  T* const tile = dynamic_shared<T>();
  T* const grads = tile + d.samples * d.tile_h * d.tile_w * kSlab<T>;
  const int strips = (d.out_w + kStrip - 1) / kStrip, width = strips * kStrip;
  const i64 c0 = i64(blockIdx.y) * kSlab<T>;
  const int pair = int(threadIdx.x) % kPairs, position = int(threadIdx.x) / kPairs;
  // gy of an item: no border, but whole strips and, below the last band, rows of zeros.
  DepthwiseItems of_gy = d;
  of_gy.tile_h = d.band, of_gy.tile_w = width, of_gy.pad = 0;
  float2 sum[kTaps];
#pragma unroll
  for (int t = 0; t < kTaps; ++t) sum[t] = make_float2(0, 0);

  for (i64 item = blockIdx.x; item < d.items; item += gridDim.x) {
    const ItemPlace place = place_of(d, item);
    load_tile<T>(x, d, place, kStride, c0, channels, tile);
    load_tile<T>(gy, of_gy, place, 1, c0, channels, grads);
    __syncthreads();
    for (int i = position; i < d.samples * d.band * strips; i += kDepthwiseThreads / kPairs) {
      const int x0 = i % strips * kStrip, row = i / strips, y = row % d.band, s = row / d.band;
      float2 g[kStrip];
#pragma unroll
      for (int p = 0; p < kStrip; ++p) g[p] = two(grads + (row * width + x0 + p) * kSlab<T> + 2 * pair);
      const T* line =
          tile + (i64(s * d.tile_h + y * kStride) * d.tile_w + x0 * kStride) * kSlab<T> + 2 * pair;
#pragma unroll
      for (int ky = 0; ky < kKernel; ++ky, line += d.tile_w * kSlab<T>)
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
    const i64 channel = c0 + i % kSlab<T>;
    if (channel < channels) gw[channel * kTaps + i / kSlab<T>] = total[i];
  }
}

}  // namespace offramp::kernels::cuda
