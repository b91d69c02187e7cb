#include "kernels/conv2d/window.h"

#include <algorithm>
#include <cstring>

#include "kernels/parallel.h"

namespace offramp::kernels {
namespace {

// A unit's source is meant to stay in L2, but a tile needs some pixels to be worth its start.
constexpr i64 kUnitFloats = i64{1} << 16;
constexpr i64 kLeastPixels = 64;
constexpr i64 kThreadMacs = i64{1} << 20;  // worth a visit to another thread

}  // namespace

Windows::Windows(const WindowDims& d) : dims_(d) {
  const auto leaves = [&](i64 origin, i64 out, i64 taps, i64 size) {
    return origin < 0 || origin + (out - 1) * d.step + taps > size;
  };
  copies_ = d.taps_h > 0 && d.taps_w > 0 &&
            (leaves(d.origin_h, d.out_h, d.taps_h, d.h) || leaves(d.origin_w, d.out_w, d.taps_w, d.w));
  pitch_ = copies_ ? (d.out_w - 1) * d.step + d.taps_w : d.w;

  const i64 pixels =
      std::clamp<i64>(kUnitFloats / (d.c * d.step * d.step + d.other_c), kLeastPixels, kUnitPixels);
  images_per_ = std::clamp<i64>(pixels / (d.out_h * d.out_w), 1, d.images);
  rows_per_ = std::clamp<i64>(pixels / d.out_w, 1, d.out_h);
  row_units_ = ceil_div(d.out_h, rows_per_);
  rows_per_ = ceil_div(d.out_h, row_units_);
  row_units_ = ceil_div(d.out_h, rows_per_);
  image_units_ = ceil_div(d.images, images_per_);
}

Windows::Unit Windows::unit(i64 index) const {
  const i64 image = index / row_units_ * images_per_, row = index % row_units_ * rows_per_;
  return {.image = image,
          .images = std::min(images_per_, dims_.images - image),
          .row = row,
          .rows = std::min(rows_per_, dims_.out_h - row)};
}

Windows::Placed Windows::place(const float* source, const Unit& unit, float* scratch) const {
  const WindowDims& d = dims_;
  const i64 first = d.origin_h + unit.row * d.step;
  if (!copies_) {
    // Without taps nothing is read, and the origin may lie outside.
    const i64 skip = d.taps_h > 0 && d.taps_w > 0 ? first * d.w + d.origin_w : 0;
    return {source + (unit.image * d.h * d.w + skip) * d.c, d.h * d.w * d.c, d.step * d.w * d.c,
            d.step * d.c};
  }
  const i64 height = window_h(unit.rows);
  const i64 left = std::clamp<i64>(-d.origin_w, 0, pitch_);
  const i64 inside = std::clamp<i64>(d.w - std::max<i64>(d.origin_w, 0), 0, pitch_ - left);
  const i64 right = pitch_ - left - inside;
  float* out = scratch;
  const auto zeros = [&](i64 pixels) {
    std::memset(out, 0, size_t(pixels * d.c) * sizeof(float));
    out += pixels * d.c;
  };
  for (i64 image = unit.image; image < unit.image + unit.images; ++image)
    for (i64 row = first; row < first + height; ++row) {
      if (row < 0 || row >= d.h) {
        zeros(pitch_);
        continue;
      }
      zeros(left);
      if (inside > 0) {
        const float* from = source + ((image * d.h + row) * d.w + std::max<i64>(d.origin_w, 0)) * d.c;
        std::memcpy(out, from, size_t(inside * d.c) * sizeof(float));
        out += inside * d.c;
      }
      zeros(right);
    }
  return {scratch, height * pitch_ * d.c, d.step * pitch_ * d.c, d.step * d.c};
}

i64 window_offsets(const WindowDims& d, i64 groups) { return groups == 1 ? d.taps_h : d.taps_h * d.taps_w; }

void run_window_product(Exec& exec, const TileEngine& engine, const WindowProduct& p, i64* offsets) {
  const WindowDims& d = p.dims;
  const Windows windows(d);
  const i64 segs = window_offsets(d, p.groups);
  const i64 group_c = d.c / p.groups;
  const i64 seg_k = p.groups == 1 ? d.taps_w * d.c : group_c;
  for (i64 s = 0; s < segs; ++s)
    offsets[s] =
        p.groups == 1 ? s * windows.tap_row() : s / d.taps_w * windows.tap_row() + s % d.taps_w * d.c;
  const i64 group_floats = packed_floats(engine, p.n, segs * seg_k);
  const i64 unit_macs =
      std::max<i64>(1, d.images * d.out_h * d.out_w / windows.units()) * p.groups * p.n * segs * seg_k;
  const i64 grain = std::max<i64>(1, kThreadMacs / std::max<i64>(1, unit_macs));

  parallel_for(exec, windows.units(), grain, [&](i64 begin, i64 end, int worker) {
    float* const scratch = windows.copies() ? exec.worker_scratch(worker, windows.scratch_floats()) : nullptr;
    const float* a[Windows::kUnitPixels];
    i64 c_off[Windows::kUnitPixels];
    i64 count = 0;
    const auto flush = [&] {
      for (i64 g = 0; g < p.groups; ++g) {
        engine.run({.m = count,
                    .n = p.n,
                    .a = a,
                    .a_k = 1,
                    .a_seg = offsets,
                    .segs = segs,
                    .seg_k = seg_k,
                    .packed = true,
                    .pairs = p.pairs,
                    .b = p.packed + g * group_floats,
                    .b_seg = nullptr,
                    .b_k = 0,
                    .c = p.dst + g * p.n,
                    .c_off = c_off,
                    .accumulate = false,
                    .bias = p.bias ? p.bias + g * p.n : nullptr,
                    .residual = p.residual ? p.residual + g * p.n : nullptr,
                    .act = p.act});
        for (i64 i = 0; i < count; ++i) a[i] += group_c;
      }
      count = 0;
    };
    for (i64 index = begin; index < end; ++index) {
      const Windows::Unit unit = windows.unit(index);
      const Windows::Placed placed = windows.place(p.source, unit, scratch);
      for (i64 image = 0; image < unit.images; ++image)
        for (i64 y = 0; y < unit.rows; ++y) {
          const float* from = placed.data + image * placed.to_next_image + y * placed.to_next_row;
          i64 to = (unit.image + image) * p.to_next_image + (unit.row + y) * p.to_next_row;
          for (i64 x = 0; x < d.out_w; ++x) {
            a[count] = from;
            c_off[count++] = to;
            from += placed.to_next_pixel;
            to += p.to_next_pixel;
            if (count == Windows::kUnitPixels) flush();
          }
        }
      if (count > 0) flush();
    }
  });
}

}  // namespace offramp::kernels
