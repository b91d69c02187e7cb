#include "tensor/shape.h"

#include "kernels/error.h"

namespace offramp {

namespace {

constexpr i64 kMaxCount = i64{1} << 40;

std::string text(const Extents& extents) {
  std::string out = "[";
  for (size_t i = 0; i < extents.size(); ++i) out += (i ? "," : "") + std::to_string(extents[i]);
  return out + "]";
}

void require_extents(const Extents& extents) {
  // Extents beyond a zero still have to be sane: the non-zero ones alone must fit.
  i64 product = 1;
  for (i64 e : extents) {
    if (e < 0) throw input_error("shape: extents must not be negative, got " + text(extents));
    if (e == 0) continue;
    if (e > kMaxCount / product) throw input_error("shape: more than 2^40 elements in " + text(extents));
    product *= e;
  }
}

}  // namespace

Shape::Shape(std::initializer_list<i64> extents) : Shape(std::span(extents.begin(), extents.size())) {}
Shape::Shape(std::span<const i64> extents) : extents_(extents) { require_extents(extents_); }

void Shape::no_axis(i64 i) const {
  throw input_error("shape: axis " + std::to_string(i) + " asked of " + str());
}

i64 Shape::count() const {
  i64 product = 1;
  for (i64 e : extents_) product *= e;
  return product;
}

std::string Shape::str() const { return text(extents_); }

}  // namespace offramp
