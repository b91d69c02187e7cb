// Launches of depthwise_tile.h for kernels of 3, 5 and 7.
#pragma once
#include "kernels/depthwise/depthwise.h"
#include "kernels/depthwise/depthwise_tile.h"

namespace offramp::kernels::cuda {

inline bool has_tile(const DepthwiseDims& d) {
  return (d.kernel == 3 || d.kernel == 5 || d.kernel == 7) && d.stride <= 2 && d.pad < d.kernel;
}

// Calls f(kernel, stride) with both as constants.
template <class F>
void with_kernel(i64 kernel, F&& f) {
  if (kernel == 3) return f(std::integral_constant<int, 3>{});
  if (kernel == 5) return f(std::integral_constant<int, 5>{});
  f(std::integral_constant<int, 7>{});
}

// What the numbers of rows may grow by before an item is found to lie beyond the last.
inline constexpr i64 kDepthwiseMargin = i64{1} << 24;

// Blocks of a launch, and where its parts lie.
inline int item_blocks(Gpu& gpu, const char* op, i64 items, i64 slabs, i64 part_floats, Parts& parts) {
  const i64 wanted = ceil_div(i64(gpu.properties().multiprocessors) * 4, slabs);
  const int blocks = int(items < wanted ? items : wanted);
  parts = parts_of(blocks, part_floats);
  if (part_floats) {
    require_tickets(op, slabs, parts);
    place_parts(parts, slabs, gpu.scratch(parts_floats(parts, slabs)), gpu.tickets());
  }
  return blocks;
}

template <class T, int kKernel, int kStep, bool kUp, bool kOdd, int kStrip, class Pixels, class Epilogue>
void launch_strips(Gpu& gpu, const char* op, const Pixels& pixels, const WeightView& w, bool turned,
                   const Epilogue& epilogue, i64 n, i64 out_h, i64 out_w, int pad, i64 channels) {
  require_rows(op, {n * out_h * out_w + kDepthwiseMargin, n * pixels.h * pixels.w, channels});
  const DepthwiseItems d = cut_items<Window<kKernel, kStep, kUp>, kStrip>(n, out_h, out_w, pad);
  const i64 slabs = ceil_div(channels, kSlab<T>);
  Parts parts{};
  const int blocks = item_blocks(gpu, op, d.items, slabs, Epilogue::kFields * i64(kSlab<T>), parts);
  i64 shared = i64(d.samples) * (d.tile_h.value() * d.tile_w.value() + d.band.value() * out_w) * 128 +
               i64(kKernel) * kKernel * kSlab<T> * 4;
  const i64 sums = 4 * ColumnThreads<kDepthwiseThreads, kSlab<T>>::sum_floats(Epilogue::kFields);
  if (shared < sums) shared = sums;
  launch(gpu, {.op = op, .grid = blocks, .block = kDepthwiseThreads, .shared = shared, .grid_y = slabs},
         depthwise_rows<T, kKernel, kStep, kUp, kOdd, kStrip, Pixels, Epilogue>, pixels, w, turned, epilogue,
         d, int(channels), parts, live_rows(gpu, n));
}
// Strips of eight outputs where they fill rows as well as strips of four.
template <class T, int kKernel, int kStep, bool kUp, bool kOdd, class Pixels, class Epilogue>
void launch_depthwise(Gpu& gpu, const char* op, const Pixels& pixels, const WeightView& w, bool turned,
                      const Epilogue& epilogue, i64 n, i64 out_h, i64 out_w, int pad, i64 channels) {
  if ((out_w + 3) / 4 % 2 == 0)
    launch_strips<T, kKernel, kStep, kUp, kOdd, 8>(gpu, op, pixels, w, turned, epilogue, n, out_h, out_w, pad,
                                                   channels);
  else
    launch_strips<T, kKernel, kStep, kUp, kOdd, 4>(gpu, op, pixels, w, turned, epilogue, n, out_h, out_w, pad,
                                                   channels);
}

template <class T, class Epilogue>
void forward_by_tiles(Gpu& gpu, const char* op, const DepthwiseDims& d, i64 out_h, i64 out_w,
                      const NormedT<T>& in, const WeightView& w, const Epilogue& epilogue) {
  const NormedPixels<T> pixels{in, int(d.h), int(d.w), d.c, wide_rows(in.x, d.c)};
  with_kernel(d.kernel, [&](auto kernel) {
    if (d.stride == 1)
      launch_depthwise<T, kernel(), 1, false, false>(gpu, op, pixels, w, false, epilogue, d.n, out_h, out_w,
                                                     int(d.pad), d.c);
    else
      launch_depthwise<T, kernel(), 2, false, false>(gpu, op, pixels, w, false, epilogue, d.n, out_h, out_w,
                                                     int(d.pad), d.c);
  });
}

template <class T>
GradPixels<T> grad_pixels(const DepthwiseDims& d, i64 out_h, i64 out_w, const NormedGradT<T>& gy) {
  return {gy, int(out_h), int(out_w), d.c, wide_rows(gy.dz, d.c) && (!gy.y || wide_rows(gy.y, d.c))};
}

template <class T, class Epilogue>
void input_grad_by_tiles(Gpu& gpu, const char* op, const DepthwiseDims& d, i64 out_h, i64 out_w,
                         const NormedGradT<T>& gy, const WeightView& w, const Epilogue& epilogue) {
  const GradPixels<T> pixels = grad_pixels(d, out_h, out_w, gy);
  with_kernel(d.kernel, [&](auto kernel) {
    const auto launch_as = [&](auto up, auto odd, bool turned, i64 pad) {
      launch_depthwise<T, kernel(), up() ? 2 : 1, up(), odd()>(gpu, op, pixels, w, turned, epilogue, d.n, d.h,
                                                               d.w, int(pad), d.c);
    };
    using std::bool_constant;
    if (d.stride == 1)
      launch_as(bool_constant<false>{}, bool_constant<false>{}, true, d.kernel - 1 - d.pad);
    else if (d.pad % 2)
      launch_as(bool_constant<true>{}, bool_constant<true>{}, false, d.pad);
    else
      launch_as(bool_constant<true>{}, bool_constant<false>{}, false, d.pad);
  });
}

template <class T, int kKernel, int kStride>
void launch_weights(Gpu& gpu, const char* op, const DepthwiseDims& d, i64 out_h, i64 out_w,
                    const NormedPixels<T>& x, const GradPixels<T>& gy, float* gw) {
  require_rows(op, {d.n * out_h * out_w + kDepthwiseMargin, d.n * d.h * d.w, d.c});
  const DepthwiseItems items =
      cut_items<Window<kKernel, kStride, false>, kWeightStrip>(d.n, out_h, out_w, int(d.pad));
  const i64 slabs = ceil_div(d.c, kSlab<T>), part = i64(kKernel) * kKernel * kSlab<T>;
  Parts parts{};
  const int blocks = item_blocks(gpu, op, items.items, slabs, part, parts);
  const Divisor width(ceil_div(out_w, kWeightStrip) * kWeightStrip);
  i64 shared = i64(items.samples) *
               (items.tile_h.value() * items.tile_w.value() + items.band.value() * width.value()) * 128;
  if (shared < part * 4) shared = part * 4;
  launch(gpu, {.op = op, .grid = blocks, .block = kDepthwiseThreads, .shared = shared, .grid_y = slabs},
         depthwise_weights<T, kKernel, kStride>, x, gy, gw, items, width, int(d.c), parts);
}

template <class T>
void weight_grad_by_tiles(Gpu& gpu, const char* op, const DepthwiseDims& d, i64 out_h, i64 out_w,
                          const NormedT<T>& in, const NormedGradT<T>& gy, float* gw) {
  const NormedPixels<T> x{in, int(d.h), int(d.w), d.c, wide_rows(in.x, d.c)};
  const GradPixels<T> pixels = grad_pixels(d, out_h, out_w, gy);
  with_kernel(d.kernel, [&](auto kernel) {
    if (d.stride == 1)
      launch_weights<T, kernel(), 1>(gpu, op, d, out_h, out_w, x, pixels, gw);
    else
      launch_weights<T, kernel(), 2>(gpu, op, d, out_h, out_w, x, pixels, gw);
  });
}

}  // namespace offramp::kernels::cuda
