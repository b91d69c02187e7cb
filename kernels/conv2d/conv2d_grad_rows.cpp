#include <algorithm>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_rows.h"
#include "kernels/conv2d/window.h"
#include "kernels/parallel.h"

namespace offramp::kernels {
namespace {

constexpr i64 offset_floats(i64 count) { return count * i64(sizeof(i64) / sizeof(float)); }

// Positions p = residue + stride * t of one axis, and the kernel taps that reach them: first + stride * [0,
// taps).
struct Residue {
  i64 count;        // of positions
  i64 first, taps;  // of the kernel
  i64 origin;       // the row of gy that the last of these taps brings to position t = 0
};
Residue residue(i64 residue, i64 size, const Conv2dDims& d) {
  const i64 first = (residue + d.pad) % d.stride;
  const i64 taps = first < d.kernel ? ceil_div(d.kernel - first, d.stride) : 0;
  return {.count = residue < size ? ceil_div(size - residue, d.stride) : 0,
          .first = first,
          .taps = taps,
          .origin = (residue + d.pad - first) / d.stride - (taps - 1)};
}

void input_gradient(Exec& exec, const Conv2dGradCall& call, const TileEngine& engine) {
  const Conv2dDims& d = call.dims;
  const i64 group_out = d.c_out / d.groups, group_in = d.c_in / d.groups;
  // Residues have at most as many taps as the first one with any.
  const i64 most_taps = ceil_div(d.kernel, d.stride) * ceil_div(d.kernel, d.stride);
  const i64 most_packed = round_up(d.groups * packed_floats(engine, group_in, most_taps * group_out), 16);
  for (i64 row = 0; row < std::min(d.stride, d.h); ++row)
    for (i64 col = 0; col < std::min(d.stride, d.w); ++col) {
      const Residue v = residue(row, d.h, d), h = residue(col, d.w, d);
      const i64 taps_h = h.taps > 0 ? v.taps : 0, taps_w = v.taps > 0 ? h.taps : 0, taps = taps_h * taps_w;
      float* const packed = exec.shared_scratch(most_packed + offset_floats(most_taps));
      i64* const offsets = reinterpret_cast<i64*>(packed + most_packed);
      // Taps turned around: tap (r, q) of the product is the kernel's (taps-1-r, taps-1-q) of this residue.
      for (i64 t = 0; t < taps; ++t)
        offsets[t] = (v.first + d.stride * (taps_h - 1 - t / taps_w)) * call.w.to_next_row +
                     (h.first + d.stride * (taps_w - 1 - t % taps_w)) * call.w.to_next_tap;
      for (i64 g = 0; g < d.groups; ++g)
        engine.pack({.n = group_in,
                     .b_col = 1,
                     .b_k = call.w.to_next_out,
                     .b_seg = offsets,
                     .segs = taps,
                     .seg_k = group_out,
                     .b = call.w.data + g * group_out * call.w.to_next_out,
                     .packed = packed + g * packed_floats(engine, group_in, taps * group_out)});
      run_window_product(exec, engine,
                         {.dims = {.images = d.n,
                                   .h = call.out_h,
                                   .w = call.out_w,
                                   .c = d.c_out,
                                   .taps_h = taps_h,
                                   .taps_w = taps_w,
                                   .step = 1,
                                   .origin_h = v.origin,
                                   .origin_w = h.origin,
                                   .out_h = v.count,
                                   .out_w = h.count},
                          .source = call.gy,
                          .groups = d.groups,
                          .n = group_in,
                          .packed = packed,
                          .dst = call.gx + (row * d.w + col) * d.c_in,
                          .to_next_image = d.h * d.w * d.c_in,
                          .to_next_row = d.stride * d.w * d.c_in,
                          .to_next_pixel = d.stride * d.c_in,
                          .bias = nullptr,
                          .residual = nullptr,
                          .act = Act::none},
                         offsets);
    }
}

// gw += the products of one unit of output pixels: per kernel row (per tap, when grouped) one indirect
// product whose sum runs over the unit's rows of pixels as segments.
void add_unit(const Conv2dGradCall& call, const TileEngine& engine, const Windows& windows, i64 index,
              float* scratch, float* gw, bool accumulate) {
  const Conv2dDims& d = call.dims;
  const i64 group_out = d.c_out / d.groups, group_in = d.c_in / d.groups;
  const Windows::Unit unit = windows.unit(index);
  const Windows::Placed placed = windows.place(call.x, unit, scratch);

  i64 gy_seg[Windows::kUnitPixels], x_seg[Windows::kUnitPixels];
  i64 segs = 0, seg_k = call.out_w;
  for (i64 image = 0; image < unit.images; ++image)
    for (i64 y = 0; y < unit.rows; ++y) {
      gy_seg[segs] = ((unit.image + image) * call.out_h + unit.row + y) * call.out_w * d.c_out;
      x_seg[segs++] = image * placed.to_next_image + y * placed.to_next_row;
    }
  // Rows that follow each other in both operands are one segment.
  const i64 row_floats = call.out_w * placed.to_next_pixel;
  const bool rows_touch = placed.to_next_row == row_floats;
  const bool images_touch =
      unit.images == 1 || (unit.rows == call.out_h && placed.to_next_image == unit.rows * row_floats);
  if (rows_touch && images_touch) {
    seg_k = segs * call.out_w;
    segs = 1;
  }

  const i64 taps_in_run = d.groups == 1 ? d.kernel : 1;
  const i64 dense_out = d.kernel * d.kernel * group_in;
  for (i64 g = 0; g < d.groups; ++g)
    for (i64 first = 0; first < group_out; first += Windows::kUnitPixels) {
      const float* a[Windows::kUnitPixels];
      i64 c_off[Windows::kUnitPixels];
      const i64 count = std::min(Windows::kUnitPixels, group_out - first);
      for (i64 i = 0; i < count; ++i) {
        const i64 out = g * group_out + first + i;
        a[i] = call.gy + out;
        c_off[i] = out * dense_out;
      }
      for (i64 tap = 0; tap < d.kernel * d.kernel; tap += taps_in_run)
        engine.run(
            {.m = count,
             .n = taps_in_run * group_in,
             .a = a,
             .a_k = d.c_out,
             .a_seg = gy_seg,
             .segs = segs,
             .seg_k = seg_k,
             .packed = false,
             .b = placed.data + tap / d.kernel * windows.tap_row() + tap % d.kernel * d.c_in + g * group_in,
             .b_seg = x_seg,
             .b_k = placed.to_next_pixel,
             .c = gw + tap * group_in,
             .c_off = c_off,
             .accumulate = accumulate,
             .bias = nullptr,
             .residual = nullptr,
             .act = Act::none});
    }
}

void weight_gradient(Exec& exec, const Conv2dGradCall& call, const TileEngine& engine) {
  const Conv2dDims& d = call.dims;
  const Windows windows({.images = d.n,
                         .h = d.h,
                         .w = d.w,
                         .c = d.c_in,
                         .taps_h = d.kernel,
                         .taps_w = d.kernel,
                         .step = d.stride,
                         .origin_h = -d.pad,
                         .origin_w = -d.pad,
                         .out_h = call.out_h,
                         .out_w = call.out_w});
  const i64 size = d.c_out * d.kernel * d.kernel * (d.c_in / d.groups);
  // Parts have their own sums; their number depends on the shape alone.
  constexpr i64 kMostParts = 8;
  const i64 units = windows.units(), parts = std::min(units, kMostParts);
  const i64 distance = round_up(size, 16);
  float* const sums = parts > 1 ? exec.shared_scratch((parts - 1) * distance) : nullptr;
  const auto sum_of = [&](i64 part) { return part == 0 ? call.gw : sums + (part - 1) * distance; };
  parallel_for(exec, parts, 1, [&](i64 begin, i64 end, int worker) {
    float* const scratch = windows.copies() ? exec.worker_scratch(worker, windows.scratch_floats()) : nullptr;
    for (i64 part = begin; part < end; ++part) {
      const i64 first = units * part / parts, last = units * (part + 1) / parts;
      for (i64 unit = first; unit < last; ++unit)
        add_unit(call, engine, windows, unit, scratch, sum_of(part), unit != first);
    }
  });
  constexpr i64 kAddGrain = i64{1} << 15;
  parallel_for(exec, size, kAddGrain, [&](i64 begin, i64 end, int) {
    for (i64 part = 1; part < parts; ++part) engine.add(call.gw + begin, sum_of(part) + begin, end - begin);
  });
}

}  // namespace

void conv2d_grad_indirect(Exec& exec, const Conv2dGradCall& call, const TileEngine& engine) {
  if (call.gx) input_gradient(exec, call, engine);
  if (call.gw) weight_gradient(exec, call, engine);
}

}  // namespace offramp::kernels
