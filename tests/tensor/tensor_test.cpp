#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>
#include <thread>
#include <utility>

#include "kernels/error.h"
#include "kernels/rng.h"
#include "tests/support/compare.h"
#include "tests/support/error_kind.h"

namespace offramp {
namespace {

using testing::kind_of;

Tensor iota(Shape shape) {
  Tensor t = Tensor::empty(std::move(shape));
  auto v = t.values<float>();
  std::iota(v.begin(), v.end(), 0.0f);
  return t;
}

TEST(Shape, CountsAndRefuses) {
  EXPECT_EQ(Shape().count(), 1);
  EXPECT_EQ((Shape{2, 3, 4}).count(), 24);
  EXPECT_EQ((Shape{2, 0, 4}).count(), 0);
  EXPECT_EQ((Shape{2, 3, 4})[-1], 4);
  EXPECT_EQ((Shape{2, 3, 4}).str(), "[2,3,4]");
  EXPECT_EQ((Shape{i64{1} << 40}).count(), i64{1} << 40);
  EXPECT_EQ(kind_of([] { Shape{2, -1}; }), Error::Kind::input);
  EXPECT_EQ(kind_of([] { Shape{(i64{1} << 40) + 1}; }), Error::Kind::input);
  EXPECT_EQ(kind_of([] { Shape{i64{1} << 32, i64{1} << 32}; }), Error::Kind::input);
  EXPECT_EQ(kind_of([] { Shape{0, i64{1} << 62, i64{1} << 62}; }), Error::Kind::input);
  EXPECT_EQ(kind_of([] { (void)Shape({2, 3})[2]; }), Error::Kind::input);
  EXPECT_EQ(kind_of([] { (void)Shape({2, 3})[-3]; }), Error::Kind::input);
}

TEST(Storage, IsAligned) {
  for (i64 bytes : {0, 1, 63, 64, 65, 1000, 5000, 1 << 20}) {
    const auto s = Storage::allocate(bytes, Device::cpu);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(s->data()) % 64, 0u);
    EXPECT_EQ(s->bytes(), bytes);
    std::memset(s->data(), 1, size_t(bytes));
  }
  EXPECT_EQ(kind_of([] { Storage::allocate(i64{1} << 43, Device::cpu); }), Error::Kind::failed);
  EXPECT_EQ(kind_of([] { Storage::allocate(-1, Device::cpu); }), Error::Kind::failed);
}

TEST(Storage, BlocksInUseNeverOverlap) {
  // Many sizes, freed and taken again from several threads: a block handed out twice would be overwritten.
  auto work = [](u64 seed) {
    Rng rng(seed);
    std::vector<std::shared_ptr<Storage>> held(32);
    std::vector<u8> mark(32);
    for (int step = 0; step < 4000; ++step) {
      const size_t i = rng.below(32);
      for (i64 b = 0; held[i] && b < held[i]->bytes(); b += 61) ASSERT_EQ(u8(held[i]->data()[b]), mark[i]);
      held[i] = Storage::allocate(rng.below(3) * 700 + rng.below(900), Device::cpu);
      mark[i] = u8(rng.next_u32());
      std::memset(held[i]->data(), mark[i], size_t(held[i]->bytes()));
    }
  };
  std::vector<std::thread> threads;
  for (u64 t = 0; t < 4; ++t) threads.emplace_back(work, t);
  for (auto& t : threads) t.join();
}

TEST(Storage, MetaAddressesAreUniqueAndApart) {
  std::vector<std::pair<std::uintptr_t, i64>> ranges;
  for (i64 bytes : {i64{0}, i64{1}, i64{64}, i64{65}, i64{1} << 40, i64{7}}) {
    const auto s = Storage::allocate(bytes, Device::meta);
    ranges.push_back({reinterpret_cast<std::uintptr_t>(s->data()), bytes});
  }
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 0; i + 1 < ranges.size(); ++i) {
    EXPECT_EQ(ranges[i].first % 64, 0u);
    EXPECT_LT(ranges[i].first, ranges[i + 1].first);
    EXPECT_LE(ranges[i].first + u64(ranges[i].second), ranges[i + 1].first);
  }
}

TEST(Tensor, MetaNeedsNoMemory) {
  Tensor t = Tensor::zeros({1 << 20, 1 << 19}, DType::f64, Device::meta);
  EXPECT_EQ(t.device(), Device::meta);
  EXPECT_EQ(t.reshape({-1}).count(), i64{1} << 39);
  const Tensor column = t.slice(1, 3, 1);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(column.data<double>()),
            reinterpret_cast<std::uintptr_t>(std::as_const(t).data<double>()) + 24);
  EXPECT_EQ(column.clone().device(), Device::meta);
  EXPECT_EQ(t.to(DType::u8).dtype(), DType::u8);
  t.fill(1);
  EXPECT_EQ(kind_of([&] { t.values<double>(); }), Error::Kind::input);
  Tensor real = Tensor::zeros({1}, DType::f64);
  EXPECT_EQ(kind_of([&] { real.copy_from(t.slice(0, 0, 1).slice(1, 0, 1).reshape({1})); }),
            Error::Kind::input);
}

TEST(Tensor, SharesAndClones) {
  Tensor a = iota({2, 3});
  Tensor b = a;
  b.data<float>()[0] = 7;
  EXPECT_EQ(a.data<float>()[0], 7);
  EXPECT_TRUE(a.shares_storage(b));
  Tensor c = a.clone();
  EXPECT_FALSE(a.shares_storage(c));
  EXPECT_FALSE(Tensor().shares_storage(Tensor()));
  EXPECT_EQ(kind_of([] { Tensor().clone(); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { a.data<double>(); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { (void)a.item(); }), Error::Kind::input);
  EXPECT_EQ(Tensor::full({}, 2.5).item(), 2.5);
  EXPECT_EQ(Tensor::full({1, 1}, 3, DType::i64).item(), 3);
}

TEST(Tensor, FromChecksTheCount) {
  const std::vector<i64> v{1, 2, 3, 4, 5, 6};
  EXPECT_EQ(Tensor::from<i64>(v, {2, 3}).values<i64>()[4], 5);
  EXPECT_EQ(kind_of([&] { Tensor::from<i64>(v, {2, 2}); }), Error::Kind::input);
}

TEST(Tensor, Reshape) {
  const Tensor a = iota({2, 3, 4});
  EXPECT_EQ(a.reshape({-1, 4}).shape(), (Shape{6, 4}));
  EXPECT_EQ(a.reshape(Shape{24}).shape(), (Shape{24}));
  EXPECT_TRUE(a.reshape({24}).shares_storage(a));
  EXPECT_EQ(kind_of([&] { a.reshape({5, -1}); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { a.reshape({-1, -1}); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { a.reshape({0, -1}); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { a.reshape({23}); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { a.slice(2, 0, 2).reshape({12}); }), Error::Kind::input);
}

TEST(Tensor, SliceAndPermuteAgainstIndexArithmetic) {
  const Tensor a = iota({3, 4, 5});
  const Tensor v = a.slice(1, 1, 2).permute({2, 0, 1});
  ASSERT_EQ(v.shape(), (Shape{5, 3, 2}));
  EXPECT_FALSE(v.is_contiguous());
  const Tensor c = v.contiguous();
  for (i64 i = 0; i < 5; ++i)
    for (i64 j = 0; j < 3; ++j)
      for (i64 k = 0; k < 2; ++k)
        EXPECT_EQ(c.values<float>()[size_t((i * 3 + j) * 2 + k)], float(j * 20 + (k + 1) * 5 + i));
  EXPECT_EQ(kind_of([&] { a.slice(1, 3, 2); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { a.slice(3, 0, 1); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { a.slice(0, -1, 1); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { a.permute({0, 1}); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { a.permute({0, 1, 1}); }), Error::Kind::input);
  EXPECT_EQ(a.slice(-1, 0, 5).is_contiguous(), true);
  EXPECT_EQ(a.slice(0, 1, 0).count(), 0);
}

TEST(Tensor, WritesThroughViewsTouchNothingElse) {
  Rng rng(1);
  for (int trial = 0; trial < 200; ++trial) {
    const Shape shape{1 + rng.below(4), 1 + rng.below(4), 1 + rng.below(4), 1 + rng.below(4)};
    Tensor base = Tensor::zeros(shape);
    std::vector<i64> begin(4), length(4), axes{0, 1, 2, 3};
    Tensor view = base;
    for (i64 d = 0; d < 4; ++d) {
      begin[size_t(d)] = rng.below(u32(shape[d]));
      length[size_t(d)] = 1 + rng.below(u32(shape[d] - begin[size_t(d)]));
      view = view.slice(d, begin[size_t(d)], length[size_t(d)]);
    }
    std::swap(axes[rng.below(4)], axes[rng.below(4)]);
    view = view.permute(axes);
    Tensor source = iota(view.shape());
    view.copy_from(source);
    view.add_(source);
    EXPECT_TRUE(view.contiguous().values<float>().size() == size_t(source.count()));
    double inside = 0, everything = 0;
    for (float v : source.values<float>()) inside += 2 * v;
    for (float v : base.values<float>()) everything += v;
    EXPECT_EQ(inside, everything);
    const Tensor back = view.clone();
    for (i64 i = 0; i < source.count(); ++i)
      EXPECT_EQ(back.values<float>()[size_t(i)], 2 * source.values<float>()[size_t(i)]);
    view.fill(0);
    for (float v : base.values<float>()) EXPECT_EQ(v, 0);
  }
}

TEST(Tensor, RowsAreCopiesByIndex) {
  const Tensor t = Tensor::from<float>(std::vector<float>{0, 1, 10, 11, 20, 21}, {3, 2});
  const auto index = [](std::vector<i64> v) { return Tensor::from<i64>(v, {i64(v.size())}); };
  const Tensor rows = t.rows(index({2, 0, 2, 1}));
  EXPECT_EQ(rows.shape(), (Shape{4, 2}));
  const auto got = rows.values<float>();
  EXPECT_EQ(std::vector<float>(got.begin(), got.end()), (std::vector<float>{20, 21, 0, 1, 20, 21, 10, 11}));
  EXPECT_EQ(t.rows(index({})).shape(), (Shape{0, 2}));
  EXPECT_EQ(kind_of([&] { t.rows(index({3})); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { t.rows(index({-1})); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { t.rows(t); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { t.slice(1, 0, 1).rows(index({0})); }), Error::Kind::input);
}

TEST(Tensor, SumsOfAListAreThoseOneByOne) {
  const auto all = [] { return Tensor::from<float>(std::vector<float>{0, 1, 10, 11, 20, 21}, {3, 2}); };
  Tensor listed = all(), single = all();
  const Tensor term = Tensor::from<float>(std::vector<float>{5, 6, 7}, {3, 1});
  std::vector<TensorSum> list{{listed.slice(1, 0, 1), term}, {listed.slice(1, 1, 1), term}};
  add_all(list);
  for (const i64 column : {0, 1}) single.slice(1, column, 1).add_(term);
  const auto got = listed.values<float>(), want = single.values<float>();
  EXPECT_TRUE(std::equal(got.begin(), got.end(), want.begin()));
  EXPECT_EQ(got[4], 27);
  list = {{listed, term}};
  EXPECT_EQ(kind_of([&] { add_all(list); }), Error::Kind::input);
}

TEST(Tensor, AddChecks) {
  Tensor a = iota({2, 2}), b = iota({4}), i = Tensor::zeros({2, 2}, DType::i64);
  EXPECT_EQ(kind_of([&] { a.add_(b); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { i.add_(i); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { a.copy_from(i); }), Error::Kind::input);
}

TEST(Tensor, ConversionsSaturate) {
  const std::vector<double> v{-1e300, -1.5, 0, 1.9, 254.9, 300, 1e300, std::nan("")};
  const Tensor t = Tensor::from<double>(v, {8});
  const std::vector<u8> bytes{0, 0, 0, 1, 254, 255, 255, 0};
  EXPECT_TRUE((testing::all_equal<u8, u8>(t.to(DType::u8).values<u8>(), bytes)));
  const Tensor wide = t.to(DType::i64);
  EXPECT_EQ(wide.values<i64>()[0], std::numeric_limits<i64>::min());
  EXPECT_EQ(wide.values<i64>()[6], std::numeric_limits<i64>::max());
  EXPECT_EQ(wide.values<i64>()[1], -1);
  EXPECT_TRUE(t.to(DType::f64).shares_storage(t));
  EXPECT_EQ(iota({2, 2}).permute({1, 0}).to(DType::f64).values<double>()[1], 2.0);
}

}  // namespace
}  // namespace offramp
