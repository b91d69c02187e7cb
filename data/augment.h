// Random changes to training images, and conversion to normalised floats.
#pragma once
#include <string>

#include "data/dataset.h"
#include "kernels/augment/augment_call.h"

namespace offramp::data {

// DeVries & Taylor 2017 for the cutout.
using Augment = kernels::AugmentOptions;

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

  const std::vector<float>& table() const { return table_; }
  const std::vector<float>& scale() const { return scale_; }
  const std::vector<float>& shift() const { return shift_; }

 private:
  i64 channels_;
  std::vector<float> table_;          // [c][256]
  std::vector<float> scale_, shift_;  // out = x * scale + shift for x in 0..1
};

}  // namespace offramp::data
