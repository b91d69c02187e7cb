// A set of labelled images in memory, as bytes, and its splits.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/rng.h"
#include "tensor/tensor.h"

namespace offramp::data {

struct Dataset;

// What a set has in a card's memory. A copy of the set starts without: it may yet be changed.
class CardBytes {
 public:
  struct Tensors {
    Tensor images, labels;  // u8 [n,h,w,c], i64 [n]
  };
  CardBytes() = default;
  CardBytes(const CardBytes&) {}
  CardBytes(CardBytes&&) noexcept = default;
  CardBytes& operator=(CardBytes other) noexcept {
    kept_ = std::move(other.kept_);
    part_ = std::move(other.part_);
    return *this;
  }

 private:
  struct Part {
    Tensors whole;
    std::vector<i64> indices;
  };
  std::unique_ptr<const Tensors> kept_;
  std::unique_ptr<const Part> part_;  // where they come from, unless from the host
  friend struct Dataset;
  friend Dataset subset(const Dataset& all, std::span<const i64> indices);
};

struct Dataset {
  std::string name;                  // "fashion-mnist", ...
  Tensor images;                     // u8 [n,h,w,c], c = 1 (grey) or 3 (RGB)
  std::vector<i64> labels;           // 0 .. classes.size()-1
  std::vector<std::string> classes;  // names
  std::vector<i64> difficulty;       // per sample where it is known (synthetic: 0 easy .. 3 hard), else empty

  i64 size() const { return i64(labels.size()); }
  i64 height() const { return images.extent(1); }
  i64 width() const { return images.extent(2); }
  i64 channels() const { return images.extent(3); }
  const u8* image(i64 i) const { return images.data<u8>() + i * height() * width() * channels(); }

  // The images and labels in the card's memory: sent by the first call (a part of a set that lies there: its
  // indices are), then there as long as the set, which is not changed any more. For the one thread that uses
  // the card.
  const CardBytes::Tensors& on_card() const;

  mutable CardBytes card;
};

struct Splits {
  Dataset train, tune, test;
};

// The samples at `indices`, in that order (copies). Of a set that lies in a card's memory they are taken from
// there, too. Throws Error when an index does not fit.
Dataset subset(const Dataset& all, std::span<const i64> indices);

// `count` of the samples, each class in its share (largest remainders), ascending. The choice depends on the
// random stream and the labels only. Throws Error(usage) when count exceeds the number of labels.
std::vector<i64> stratified(std::span<const i64> labels, i64 count, Rng rng);

// What remains of 0..n-1 when `taken` (ascending) is left out.
std::vector<i64> others(i64 n, std::span<const i64> taken);

std::vector<i64> class_histogram(const Dataset& set);

// Per channel, pixels scaled to 0..1. A channel without variation has std 1, so that dividing is harmless.
struct Normalisation {
  std::vector<float> mean, std;
  friend bool operator==(const Normalisation&, const Normalisation&) = default;
};
Normalisation channel_statistics(const Dataset& set);  // exact sums in integers

}  // namespace offramp::data
