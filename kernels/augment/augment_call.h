// Plain structs of taking a batch of images out of a data set: pad-crop, flip, jitter, cutout, conversion to
// normalised floats.
#pragma once
#include "kernels/bf16.h"
#include "kernels/rng.h"
#include "kernels/types.h"

namespace offramp::kernels {

struct AugmentOptions {
  i64 pad = 0;        // pixels of black around, then a random crop of the old size
  bool flip = false;  // left-right, half of the time
  i64 cutout = 0;     // side of a random square set to the mean colour; may stick out
  float brightness = 0, contrast = 0, saturation = 0;  // factors are drawn from [1-v, 1+v]

  bool any() const { return pad || flip || cutout || brightness || contrast || saturation; }
};

// What is drawn for an image. Every number is drawn, used or not: switching one change on does not move the
// others.
struct AugmentDraws {
  i64 dy, dx;
  bool flip;
  i64 cut_y, cut_x;
  float brightness, contrast, saturation;
};
constexpr AugmentDraws draw_augmentation(const AugmentOptions& a, i64 h, i64 w, Rng rng) {
  AugmentDraws d{};
  d.dy = i64(rng.below(u32(2 * a.pad + 1))) - a.pad;
  d.dx = i64(rng.below(u32(2 * a.pad + 1))) - a.pad;
  d.flip = (rng.next_u32() & 1) && a.flip;
  d.cut_y = rng.below(u32(h));
  d.cut_x = rng.below(u32(w));
  d.brightness = 1 + a.brightness * rng.uniform(-1, 1);
  d.contrast = 1 + a.contrast * rng.uniform(-1, 1);
  d.saturation = 1 + a.saturation * rng.uniform(-1, 1);
  return d;
}

// The stream of an image's draws below a loader's, by (epoch, sample).
constexpr Rng augmentation_rng(u64 seed, u64 epoch, u64 sample) {
  constexpr u64 kAugmentation = 2;  // stream number of a loader; 1 is its order
  return Rng(seed).derive(kAugmentation, epoch, sample);
}

// On the card. out [n,h,w,channels], labels_out [n]: the images and labels at `indices`.
template <class T>
struct AugmentCallT {
  i64 n, h, w;
  int channels;        // 1 or 3
  const u8* images;    // of the set, [.][h,w,channels]
  const i64* labels;   // of the set
  const i32* indices;  // [n]
  const float* table;  // [channels][256]: byte to normalised value
  const float* scale;  // [2][channels]: normalised = value in 0..1 * scale + shift
  bool augment;        // false: the images as they are
  AugmentOptions options;
  u64 seed, epoch;
  T* out;
  i64* labels_out;
};

}  // namespace offramp::kernels
