#include "tensor/extents.h"

#include <gtest/gtest.h>

#include <type_traits>

#include "tensor/tensor.h"

namespace offramp {
namespace {

static_assert(std::is_nothrow_move_constructible_v<Tensor>);  // a growing list of tensors moves them

// Below, at and beyond the number that needs no memory of its own, a list is a value like a vector.
TEST(Extents, AreValuesOfAnyLength) {
  for (std::size_t n = 0; n <= 9; ++n) {
    std::vector<i64> numbers(n);
    for (std::size_t i = 0; i < n; ++i) numbers[i] = i64(3 * i + 1);
    Extents a{std::span<const i64>(numbers)};
    ASSERT_EQ(a.size(), n);
    EXPECT_TRUE(std::equal(a.begin(), a.end(), numbers.begin(), numbers.end()));
    Extents b = a;
    EXPECT_EQ(a, b);
    if (n > 0) {
      b[n - 1] = -7;
      EXPECT_NE(a, b);
      EXPECT_EQ(a[n - 1], numbers[n - 1]);  // a copy shares nothing
    }
    EXPECT_NE(a, Extents(n + 1));
    const Extents c = std::move(a);
    EXPECT_TRUE(std::equal(c.begin(), c.end(), numbers.begin(), numbers.end()));
    EXPECT_TRUE(a.empty());
    a = b;
    EXPECT_EQ(a, b);
    for (std::size_t other : {std::size_t{0}, std::size_t{4}, std::size_t{6}}) {
      Extents d(other);
      d = std::move(b);
      EXPECT_EQ(d, a);
      b = d;
      d = Extents(other);
      EXPECT_EQ(d.size(), other);
      for (i64 value : d) EXPECT_EQ(value, 0);
    }
  }
}

TEST(Extents, TensorsOfManyAxes) {
  const Tensor t = Tensor::zeros({2, 1, 3, 1, 2, 2}).permute({5, 4, 3, 2, 1, 0});
  EXPECT_EQ(t.shape(), (Shape{2, 2, 1, 3, 1, 2}));
  EXPECT_EQ(t.strides()[0], 1);
  EXPECT_EQ(t.slice(3, 1, 2).contiguous().shape().str(), "[2,2,1,2,1,2]");
}

}  // namespace
}  // namespace offramp
