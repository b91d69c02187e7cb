// The ceiling on tensors' memory: what it counts, whom it stops, what it leaves behind.
#include "tensor/storage_limit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tensor/tensor.h"

namespace offramp {
namespace {

constexpr i64 kBlock = 1 << 20;  // a size that the allocator does not round

Tensor block() { return Tensor::empty({kBlock}, DType::u8); }

TEST(StorageLimit, CountsWhatIsAlive) {
  const i64 before = storage_in_use();
  {
    const Tensor a = block(), view = a.slice(0, 0, 10),
                 meta = Tensor::empty({kBlock}, DType::f32, Device::meta);
    EXPECT_EQ(storage_in_use(), before + kBlock);
    const Tensor copy = a.clone();
    EXPECT_EQ(storage_in_use(), before + 2 * kBlock);
  }
  EXPECT_EQ(storage_in_use(), before);
}

TEST(StorageLimit, StopsAtTheByteAndEndsWithItsScope) {
  const Tensor earlier = block();  // held before the limit: no part of what it allows
  const i64 before = storage_in_use();
  {
    const StorageLimit limit(2 * kBlock);
    std::vector<Tensor> held{block(), block()};
    EXPECT_THROW(Tensor::empty({1}, DType::u8), StorageExceeded);
    EXPECT_EQ(storage_in_use(), before + 2 * kBlock) << "a refused tensor is not counted";
    held.pop_back();
    EXPECT_NO_THROW(block());
    EXPECT_NO_THROW(Tensor::empty({i64{1} << 40}, DType::f32, Device::meta));
    {
      const StorageLimit wider(10 * kBlock), none(0);
      EXPECT_THROW(Tensor::empty({2 * kBlock}, DType::u8), StorageExceeded) << "an inner one cannot raise it";
    }
    {
      const StorageLimit inner(kBlock / 2);
      EXPECT_THROW(block(), StorageExceeded);
    }
    EXPECT_NO_THROW(block());
  }
  EXPECT_NO_THROW(Tensor::empty({3 * kBlock}, DType::u8));
  EXPECT_EQ(storage_in_use(), before);
}

TEST(StorageLimit, ThreadsTogetherKeepIt) {
  const i64 before = storage_in_use();
  std::atomic<i64> holding{0}, most{0};
  {
    const StorageLimit limit(3 * kBlock);
    std::vector<std::thread> threads;
    for (int t = 0; t < 6; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) try {
            const Tensor a = block();
            const i64 now = ++holding;
            for (i64 seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
            }
            std::this_thread::yield();
            --holding;
          } catch (const StorageExceeded&) {
          }
      });
    for (std::thread& t : threads) t.join();
  }
  EXPECT_LE(most, 3);
  EXPECT_GT(most, 0);
  EXPECT_EQ(storage_in_use(), before);
}

}  // namespace
}  // namespace offramp
