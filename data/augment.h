// Random changes to training images, and conversion to normalised floats.
#pragma once
#include <string>

#include "data/dataset.h"

namespace offramp::data {

struct Augment {
  i64 pad = 0;        // pixels of black around, then a random crop of the old size
  bool flip = false;  // left-right, half of the time
  i64 cutout = 0;     // side of a random square set to the mean colour (DeVries & Taylor 2017); may stick out
  float brightness = 0, contrast = 0, saturation = 0;  // factors are drawn from [1-v, 1+v]
  bool any() const { return pad || flip || cutout || brightness || contrast || saturation; }
};

// Sensible for the set: digits (mnist, svhn) are never flipped. Unknown names get pad and flip.
Augment default_augment(const std::string& dataset, i64 side);

// Byte to normalised float: out = (byte/255 - mean) / std, by one table per channel.
class Normaliser {
 public:
  // Throws Error when the counts differ from `channels`.
  Normaliser(const Normalisation& n, i64 channels);
  // Image u8 [h,w,c] to float [h,w,c].
  void plain(const u8* image, i64 h, i64 w, float* out) const;
  // The same, augmented. The result is a function of (image, options, rng) alone.
  void augmented(const u8* image, i64 h, i64 w, const Augment& options, Rng rng, float* out) const;

 private:
  i64 channels_;
  std::vector<float> table_;          // [c][256]
  std::vector<float> scale_, shift_;  // out = x * scale + shift for x in 0..1
};

}  // namespace offramp::data
