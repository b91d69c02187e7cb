// Extents of a tensor, outermost first. Never negative; the element count fits i64.
#pragma once
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "tensor/extents.h"

namespace offramp {

class Shape {
 public:
  Shape() = default;  // a scalar: no extents, one element
  // Throws Error(input) on a negative extent or when the element count overflows 2^40.
  Shape(std::initializer_list<i64> extents);
  explicit Shape(std::span<const i64> extents);

  i64 rank() const { return i64(extents_.size()); }
  // Negative i counts from the end. Throws Error when out of range.
  i64 operator[](i64 i) const {
    const i64 at = i < 0 ? i + rank() : i;
    if (at < 0 || at >= rank()) no_axis(i);
    return extents_[size_t(at)];
  }
  i64 count() const;  // product of the extents
  const Extents& extents() const { return extents_; }
  std::string str() const;  // "[2,3,4]"
  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  [[noreturn]] void no_axis(i64 i) const;
  Extents extents_;
};

}  // namespace offramp
