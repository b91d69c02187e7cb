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

// How the weight gradient is multiplied: as gw [out][taps][in] itself, one product per run of contiguous
// columns (a kernel row; a tap when grouped), or `turned`, as [taps][in][out] in one product whose rows are
// all taps. The wider of the two sides belongs on the vectors: turned for an expanding 1x1 and for images of
// few channels.
struct WeightSum {
  bool turned;
  i64 group_out, group_in, taps, run_taps;

  explicit WeightSum(const Conv2dDims& d)
      : group_out(d.c_out / d.groups),
        group_in(d.c_in / d.groups),
        taps(d.kernel * d.kernel),
        run_taps(d.groups == 1 ? d.kernel : 1) {
    turned = group_out > run_taps * group_in;
  }
  i64 group_size() const { return group_out * taps * group_in; }
};

// sum += the products of one unit of output pixels; the rows of pixels are the segments of every product.
void add_unit(const Conv2dGradCall& call, const TileEngine& engine, const Windows& windows, i64 index,
              const WeightSum& w, float* scratch, float* sum, bool accumulate) {
  const Conv2dDims& d = call.dims;
  constexpr i64 kMost = Windows::kUnitPixels;
  const Windows::Unit unit = windows.unit(index);
  const Windows::Placed placed = windows.place(call.x, unit, scratch);

  i64 gy_seg[kMost], x_seg[kMost];
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

  const auto tap_of_x = [&](i64 tap) {
    return placed.data + tap / d.kernel * windows.tap_row() + tap % d.kernel * d.c_in;
  };
  TileCall product{.m = 0,
                   .n = 0,
                   .a = nullptr,
                   .a_k = w.turned ? placed.to_next_pixel : d.c_out,
                   .a_seg = w.turned ? x_seg : gy_seg,
                   .segs = segs,
                   .seg_k = seg_k,
                   .packed = false,
                   .b = nullptr,
                   .b_seg = w.turned ? gy_seg : x_seg,
                   .b_k = w.turned ? d.c_out : placed.to_next_pixel,
                   .c = nullptr,
                   .c_off = nullptr,
                   .accumulate = accumulate,
                   .bias = nullptr,
                   .residual = nullptr,
                   .act = Act::none};
  const i64 rows = w.turned ? w.taps * w.group_in : w.group_out;
  for (i64 g = 0; g < d.groups; ++g) {
    const float* const gy = call.gy + g * w.group_out;
    float* const group_sum = sum + g * w.group_size();
    for (i64 first = 0; first < rows; first += kMost) {
      const float* a[kMost];
      i64 c_off[kMost];
      product.m = std::min(kMost, rows - first);
      product.a = a;
      product.c_off = c_off;
      for (i64 i = 0; i < product.m; ++i) {
        const i64 row = first + i;
        a[i] = w.turned ? tap_of_x(row / w.group_in) + g * w.group_in + row % w.group_in : gy + row;
        c_off[i] = row * (w.turned ? w.group_out : w.taps * w.group_in);
      }
      if (w.turned) {
        product.n = w.group_out;
        product.b = gy;
        product.c = group_sum;
        engine.run(product);
        continue;
      }
      product.n = w.run_taps * w.group_in;
      for (i64 tap = 0; tap < w.taps; tap += w.run_taps) {
        product.b = tap_of_x(tap) + g * w.group_in;
        product.c = group_sum + tap * w.group_in;
        engine.run(product);
      }
    }
  }
}

// to[col][row] = from[row][col], in blocks of cache lines.
void transpose(const float* from, i64 rows, i64 cols, float* to) {
  constexpr i64 kBlock = 16;
  for (i64 row = 0; row < rows; row += kBlock)
    for (i64 col = 0; col < cols; ++col)
      for (i64 r = row; r < std::min(row + kBlock, rows); ++r) to[col * rows + r] = from[r * cols + col];
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
                         .out_w = call.out_w,
                         .other_c = d.c_out});
  const WeightSum w(d);
  const i64 size = d.groups * w.group_size();
  // Parts have their own sums; their number depends on the shape alone.
  constexpr i64 kMostParts = 8;
  const i64 units = windows.units(), parts = std::min(units, kMostParts);
  const i64 distance = round_up(size, 16);
  // The first part sums in gw itself, unless that is to be turned.
  const i64 buffers = parts - (w.turned ? 0 : 1);
  float* const sums = buffers > 0 ? exec.shared_scratch(buffers * distance) : nullptr;
  float* const total = w.turned ? sums : call.gw;
  const auto sum_of = [&](i64 part) {
    return part == 0 ? total : sums + (buffers - parts + part) * distance;
  };
  parallel_for(exec, parts, 1, [&](i64 begin, i64 end, int worker) {
    float* const scratch = windows.copies() ? exec.worker_scratch(worker, windows.scratch_floats()) : nullptr;
    for (i64 part = begin; part < end; ++part) {
      const i64 first = units * part / parts, last = units * (part + 1) / parts;
      for (i64 unit = first; unit < last; ++unit)
        add_unit(call, engine, windows, unit, w, scratch, sum_of(part), unit != first);
    }
  });
  constexpr i64 kAddGrain = i64{1} << 15;
  if (parts > 1)
    parallel_for(exec, size, kAddGrain, [&](i64 begin, i64 end, int) {
      for (i64 part = 1; part < parts; ++part) engine.add(total + begin, sum_of(part) + begin, end - begin);
    });
  if (w.turned)
    for (i64 g = 0; g < d.groups; ++g)
      transpose(total + g * w.group_size(), w.taps * w.group_in, w.group_out, call.gw + g * w.group_size());
}

}  // namespace

void conv2d_grad_indirect(Exec& exec, const Conv2dGradCall& call, const TileEngine& engine) {
  if (call.gx) input_gradient(exec, call, engine);
  if (call.gw) weight_gradient(exec, call, engine);
}

}  // namespace offramp::kernels
