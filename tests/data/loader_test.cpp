#include "data/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "data/synthetic.h"
#include "tests/support/error_kind.h"

namespace offramp::data {
namespace {

using offramp::testing::kind_of;

struct Epoch {
  std::vector<i64> order, labels, sizes;
  std::map<i64, std::vector<float>> images;
};

Epoch take(Loader& loader, i64 epoch) {
  Epoch out;
  Batch b;
  loader.start(epoch);
  while (loader.next(b)) {
    out.sizes.push_back(b.size());
    const i64 each = b.images.count() / b.size();
    for (i64 i = 0; i < b.size(); ++i) {
      out.order.push_back(b.indices[size_t(i)]);
      out.labels.push_back(b.labels.values<i64>()[size_t(i)]);
      const float* x = b.images.data<float>() + i * each;
      out.images[b.indices[size_t(i)]].assign(x, x + each);
    }
  }
  return out;
}

const Dataset& small() {
  static const Dataset set = synthetic(1, 0, 50);
  return set;
}
const Normalisation kHalf{{0.5f, 0.5f, 0.5f}, {0.25f, 0.25f, 0.25f}};
const Augment kAll{
    .pad = 4, .flip = true, .cutout = 8, .brightness = 0.2f, .contrast = 0.2f, .saturation = 0.2f};

TEST(Loader, EvaluationGivesEverySampleOnceInOrder) {
  Loader loader(small(), kHalf, {.batch = 16});
  EXPECT_EQ(loader.batches(), 4);
  const Epoch e = take(loader, 0);
  EXPECT_EQ(e.sizes, (std::vector<i64>{16, 16, 16, 2}));
  EXPECT_EQ(e.labels, small().labels);
  for (i64 i = 0; i < 50; ++i) {
    EXPECT_EQ(e.order[size_t(i)], i);
    EXPECT_NEAR(e.images.at(i)[100], (small().image(i)[100] / 255.0 - 0.5) / 0.25, 1e-6);
  }
  Batch b;
  EXPECT_FALSE(loader.next(b));
}

TEST(Loader, ShufflesBySeedAndEpoch) {
  Loader a(small(), kHalf, {.batch = 16, .shuffle = true, .seed = 3});
  Loader b(small(), kHalf, {.batch = 16, .shuffle = true, .seed = 3});
  Loader c(small(), kHalf, {.batch = 16, .shuffle = true, .seed = 4});
  const Epoch first = take(a, 0), second = take(a, 1);
  EXPECT_NE(first.order, second.order);
  EXPECT_EQ(take(b, 1).order, second.order);  // whatever came before
  EXPECT_EQ(take(b, 0).order, first.order);
  EXPECT_NE(take(c, 0).order, first.order);
  std::vector<i64> sorted = first.order;
  std::sort(sorted.begin(), sorted.end());
  for (i64 i = 0; i < 50; ++i) EXPECT_EQ(sorted[size_t(i)], i);
  for (size_t i = 0; i < 50; ++i) EXPECT_EQ(first.labels[i], small().labels[size_t(first.order[i])]);
}

TEST(Loader, AugmentationDependsOnSeedEpochAndSampleOnly) {
  Loader a(small(), kHalf, {.batch = 16, .shuffle = true, .seed = 3, .augment = kAll});
  Loader b(small(), kHalf, {.batch = 7, .shuffle = false, .seed = 3, .augment = kAll});
  const Epoch x = take(a, 5), y = take(b, 5), z = take(a, 6);
  EXPECT_EQ(x.images, y.images);
  i64 same = 0;
  for (i64 i = 0; i < 50; ++i) same += x.images.at(i) == z.images.at(i);
  EXPECT_EQ(same, 0);
}

TEST(Loader, DropsThePartialBatchWhenAsked) {
  Loader a(small(), kHalf, {.batch = 16, .drop_last = true});
  EXPECT_EQ(a.batches(), 3);
  EXPECT_EQ(take(a, 0).sizes, (std::vector<i64>{16, 16, 16}));
  Loader b(small(), kHalf, {.batch = 64, .drop_last = true});
  EXPECT_EQ(take(b, 0).sizes, (std::vector<i64>{50}));
}

TEST(Loader, AnEpochCanBeLeftAtAnyPoint) {
  Loader loader(small(), kHalf, {.batch = 4, .shuffle = true, .seed = 1});
  const Epoch whole = take(loader, 2);
  for (int left_after = 0; left_after < 13; ++left_after) {
    loader.start(1);
    Batch b;
    for (int i = 0; i < left_after; ++i) ASSERT_TRUE(loader.next(b));
    EXPECT_EQ(take(loader, 2).order, whole.order);
  }
  for (int i = 0; i < 50; ++i) {  // destroyed with batches waiting and in work
    Loader brief(small(), kHalf, {.batch = 4});
    if (i % 2) brief.start(0);
  }
}

TEST(Loader, ResizesAndAgreesWithNetworkInput) {
  Loader loader(small(), kHalf, {.batch = 16, .height = 48, .width = 40});
  Batch b;
  loader.start(0);
  ASSERT_TRUE(loader.next(b));
  ASSERT_EQ(b.images.shape(), (Shape{16, 48, 40, 3}));
  const Tensor image = small().images.slice(0, 5, 1).reshape({32, 32, 3});
  const Tensor one = network_input(image, kHalf, 48, 40);
  ASSERT_EQ(one.shape(), (Shape{1, 48, 40, 3}));
  EXPECT_EQ(std::memcmp(one.data<float>(), b.images.data<float>() + 5 * 48 * 40 * 3, 48 * 40 * 3 * 4), 0);
}

TEST(Loader, FailuresReachTheCaller) {
  EXPECT_EQ(kind_of([] { Loader(small(), kHalf, {.batch = 0}); }), Error::Kind::usage);
  EXPECT_EQ(kind_of([] { Loader(small(), {{0.5f}, {0.5f}}, {}); }), Error::Kind::input);
  EXPECT_EQ(kind_of([] { Loader(Dataset{}, kHalf, {}); }), Error::Kind::usage);
  // What fails on the preparing thread is rethrown by next(), and the loader can be used or destroyed
  // afterwards.
  Loader loader(small(), kHalf, {.batch = 16, .augment = {.pad = -1, .flip = true}});
  for (int i = 0; i < 2; ++i) {
    loader.start(i);
    Batch b;
    EXPECT_EQ(kind_of([&] { loader.next(b); }), Error::Kind::usage);
    EXPECT_FALSE(loader.next(b));
  }
}

}  // namespace
}  // namespace offramp::data
