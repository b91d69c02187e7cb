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

template <class T, int kKernel, int kStride, class Pixels, class Epilogue>
void launch_depthwise(Gpu& gpu, const char* op, const Pixels& pixels, const WeightView& w, bool turned,
                      const Epilogue& epilogue, const DepthwiseItems& d, i64 channels) {
  const i64 slabs = ceil_div(channels, kSlab<T>);
  Parts parts{};
  const int blocks = item_blocks(gpu, op, d.items, slabs, Epilogue::kFields * i64(kSlab<T>), parts);
  i64 shared = (i64(d.samples) * d.tile_h * d.tile_w + i64(d.samples) * d.band * d.out_w) * 128 +
               i64(kKernel) * kKernel * kSlab<T> * 4;
  const i64 sums = 4 * ColumnThreads<kDepthwiseThreads, kSlab<T>>::sum_floats(Epilogue::kFields);
  if (shared < sums) shared = sums;
  launch(gpu, {.op = op, .grid = blocks, .block = kDepthwiseThreads, .shared = shared, .grid_y = slabs},
         depthwise_rows<T, kKernel, kStride, Pixels, Epilogue>, pixels, w, turned, epilogue, d, channels,
         parts);
}

template <class T, class Epilogue>
void forward_by_tiles(Gpu& gpu, const char* op, const DepthwiseDims& d, i64 out_h, i64 out_w,
                      const NormedT<T>& in, const WeightView& w, const Epilogue& epilogue) {
  const NormedPixels<T> pixels{in, int(d.h), int(d.w), d.c, wide_rows(in.x, d.c)};
  const DepthwiseItems items = cut_items(d.n, out_h, out_w, int(d.kernel), int(d.stride), int(d.pad), 128);
  with_kernel(d.kernel, [&](auto kernel) {
    if (d.stride == 1)
      launch_depthwise<T, kernel(), 1>(gpu, op, pixels, w, false, epilogue, items, d.c);
    else
      launch_depthwise<T, kernel(), 2>(gpu, op, pixels, w, false, epilogue, items, d.c);
  });
}

template <class T>
GradPixels<T> grad_pixels(const DepthwiseDims& d, i64 out_h, i64 out_w, const NormedGradT<T>& gy,
                          i64 spread) {
  return {gy,          int(out_h), int(out_w),
          int(spread), d.c,        wide_rows(gy.dz, d.c) && (!gy.y || wide_rows(gy.y, d.c))};
}

template <class T, class Epilogue>
void input_grad_by_tiles(Gpu& gpu, const char* op, const DepthwiseDims& d, i64 out_h, i64 out_w,
                         const NormedGradT<T>& gy, const WeightView& w, const Epilogue& epilogue) {
  const int pad = int(d.kernel - 1 - d.pad);
  const DepthwiseItems items = cut_items(d.n, d.h, d.w, int(d.kernel), 1, pad, 128);
  with_kernel(d.kernel, [&](auto kernel) {
    launch_depthwise<T, kernel(), 1>(gpu, op, grad_pixels(d, out_h, out_w, gy, d.stride), w, true, epilogue,
                                     items, d.c);
  });
}

template <class T>
void weight_grad_by_tiles(Gpu& gpu, const char* op, const DepthwiseDims& d, i64 out_h, i64 out_w,
                          const NormedT<T>& in, const NormedGradT<T>& gy, float* gw) {
  const NormedPixels<T> x{in, int(d.h), int(d.w), d.c, wide_rows(in.x, d.c)};
  const DepthwiseItems items = cut_items(d.n, out_h, out_w, int(d.kernel), int(d.stride), int(d.pad), 128);
  const i64 slabs = ceil_div(d.c, kSlab<T>), part = d.kernel * d.kernel * kSlab<T>;
  Parts parts{};
  const int blocks = item_blocks(gpu, op, items.items, slabs, part, parts);
  const i64 width = ceil_div(out_w, kStrip) * kStrip;
  i64 shared =
      (i64(items.samples) * items.tile_h * items.tile_w + i64(items.samples) * items.band * width) * 128;
  if (shared < part * 4) shared = part * 4;
  with_kernel(d.kernel, [&](auto kernel) {
    const Launch where{
        .op = op, .grid = blocks, .block = kDepthwiseThreads, .shared = shared, .grid_y = slabs};
    const auto pixels = grad_pixels(d, out_h, out_w, gy, 1);
    if (d.stride == 1)
      launch(gpu, where, depthwise_weights<T, kernel(), 1>, x, pixels, gw, items, d.c, parts);
    else
      launch(gpu, where, depthwise_weights<T, kernel(), 2>, x, pixels, gw, items, d.c, parts);
  });
}

}  // namespace offramp::kernels::cuda
