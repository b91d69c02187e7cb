// How a convolution becomes indirect matrix products (kernels/gemm/tiles.h): outputs are cut into units of
// about kUnitPixels pixels; the part of the image a unit looks at is used where it lies when no tap leaves
// the image, else it is copied once, with its padding, to scratch. Neither makes a copy per tap (im2col).
#pragma once
#include "kernels/exec.h"
#include "kernels/gemm/tile_engine.h"

namespace offramp::kernels {

// Outputs (image, y, x) look at source rows origin_h + y * step + [0, taps_h), columns likewise.
struct WindowDims {
  i64 images, h, w, c;  // source [images][h][w][c]
  i64 taps_h, taps_w, step;
  i64 origin_h, origin_w;
  i64 out_h, out_w;
  i64 other_c = 0;  // floats per output pixel that a unit reads besides the source
};

class Windows {
 public:
  static constexpr i64 kUnitPixels = 256;

  explicit Windows(const WindowDims& dims);

  struct Unit {
    i64 image, images, row, rows;  // outputs [image, image + images) x [row, row + rows) x [0, out_w)
  };
  i64 units() const { return image_units_ * row_units_; }
  Unit unit(i64 index) const;
  // Rows of outputs in a unit, at most kUnitPixels.
  i64 most_rows() const { return images_per_ * rows_per_; }

  // Where a unit's source lies: pixel (image, y, x) of the output, counted from the unit's first, has its tap
  // (0,0) at data + image * to_next_image + y * to_next_row + x * to_next_pixel, tap (r,q) at r * tap_row() +
  // q * c behind it.
  struct Placed {
    const float* data;
    i64 to_next_image, to_next_row, to_next_pixel;
  };
  Placed place(const float* source, const Unit& unit, float* scratch) const;
  i64 scratch_floats() const { return copies_ ? images_per_ * window_h(rows_per_) * pitch_ * dims_.c : 0; }
  i64 tap_row() const { return pitch_ * dims_.c; }
  bool copies() const { return copies_; }

 private:
  i64 window_h(i64 rows) const { return (rows - 1) * dims_.step + dims_.taps_h; }

  WindowDims dims_;
  bool copies_;
  i64 pitch_;  // pixels from one source row to the next
  i64 images_per_, rows_per_, image_units_, row_units_;
};

// dst[image][y][x][:] = act(sum over taps and channels + bias + residual), per group of channels.
struct WindowProduct {
  WindowDims dims;
  const float* source;
  i64 groups, n;        // n: output channels of one group
  const float* packed;  // per group: packed operand of n columns and taps_h * taps_w * c / groups rows
  bool pairs = false;   // how it is packed, see TilePack
  float* dst;
  i64 to_next_image, to_next_row, to_next_pixel;  // in dst
  const float* bias;                              // [groups * n] or null
  const float* residual;                          // at the places of dst, or null
  Act act;
};
// `offsets` has room for window_offsets(dims, groups) values.
i64 window_offsets(const WindowDims& dims, i64 groups);
void run_window_product(Exec& exec, const TileEngine& engine, const WindowProduct& product, i64* offsets);

}  // namespace offramp::kernels
