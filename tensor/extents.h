// A short list of whole numbers: extents or strides. Up to four of them need no memory of their own; every
// tensor holds two such lists, and a network without weights is little else than tensors.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "kernels/types.h"

namespace offramp {

class Extents {
 public:
  using value_type = i64;

  Extents() = default;
  explicit Extents(std::size_t size) : size_(size), more_(size > kHere ? size : 0) {}
  explicit Extents(std::span<const i64> values) : Extents(values.size()) {
    std::copy(values.begin(), values.end(), begin());
  }
  Extents(const Extents&) = default;
  Extents& operator=(const Extents&) = default;
  // What was moved from is empty.
  Extents(Extents&& from) noexcept
      : size_(std::exchange(from.size_, 0)), here_(from.here_), more_(std::move(from.more_)) {}
  Extents& operator=(Extents&& from) noexcept {
    size_ = std::exchange(from.size_, 0);
    here_ = from.here_;
    more_ = std::move(from.more_);
    return *this;
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const i64* data() const { return size_ > kHere ? more_.data() : here_.data(); }
  i64* data() { return size_ > kHere ? more_.data() : here_.data(); }
  i64 operator[](std::size_t i) const { return data()[i]; }
  i64& operator[](std::size_t i) { return data()[i]; }
  const i64* begin() const { return data(); }
  const i64* end() const { return data() + size_; }
  i64* begin() { return data(); }
  i64* end() { return data() + size_; }

  friend bool operator==(const Extents& a, const Extents& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

 private:
  static constexpr std::size_t kHere = 4;
  std::size_t size_ = 0;
  std::array<i64, kHere> here_{};
  std::vector<i64> more_;  // all of them, where there are more than fit here
};

}  // namespace offramp
