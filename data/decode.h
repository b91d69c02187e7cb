// Images from files: PNG, JPEG, BMP.
#pragma once
#include <string>

#include "tensor/tensor.h"

namespace offramp::data {

// u8 [h,w,c]: c = 1 for grey images, else 3 (alpha is dropped, palettes and 16 bits are converted);
// `channels` = 1 or 3 asks for that many. Throws Error(input) naming the file when it is no image, damaged,
// cut short or too large.
Tensor decode_image(const std::string& path, i64 channels = 0);

// Size and channels (1 or 3) from the header alone: {h, w, c}.
struct ImageSize {
  i64 height, width, channels;
};
ImageSize image_size(const std::string& path);

// u8 [h,w,1] or [h,w,3] to the wanted number of channels: grey = (77 R + 150 G + 29 B) / 256, or three times
// the grey.
Tensor to_channels(const Tensor& image, i64 channels);

// Bilinear, half-pixel centres, no antialias, rounded to bytes: u8 [h,w,c] to [out_h,out_w,c].
Tensor resize_image(const Tensor& image, i64 out_h, i64 out_w);

}  // namespace offramp::data
