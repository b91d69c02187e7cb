#include "kernels/parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <vector>

namespace offramp {
namespace {

using Chunks = std::set<std::pair<i64, i64>>;

Chunks chunks_of(int threads, i64 count, i64 grain) {
  const Exec exec(Target::portable, threads);
  std::mutex mutex;
  Chunks chunks;
  parallel_for(exec, count, grain, [&](i64 begin, i64 end, int worker) {
    const std::lock_guard lock(mutex);
    EXPECT_GE(worker, 0);
    EXPECT_LT(worker, threads);
    EXPECT_TRUE(chunks.emplace(begin, end).second) << "chunk at " << begin << " ran twice";
  });
  return chunks;
}

TEST(ParallelFor, CoversEveryIndexOnce) {
  for (const int threads : {1, 2, 3, 8})
    for (const i64 count : {0, 1, 2, 7, 8, 9, 100})
      for (const i64 grain : {1, 3, 8, 1000}) {
        const Exec exec(Target::portable, threads);
        std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
        parallel_for(exec, count, grain, [&](i64 begin, i64 end, int) {
          for (i64 i = begin; i < end; ++i) ++seen[size_t(i)];
        });
        for (const auto& times : seen) EXPECT_EQ(times, 1) << threads << " threads, " << count << "/" << grain;
      }
}

TEST(ParallelFor, BordersDependOnShapeAlone) {
  for (const i64 count : {1, 10, 64, 97})
    for (const i64 grain : {1, 4, 10, 100}) {
      Chunks want;
      for (i64 begin = 0; begin < count; begin += grain) want.emplace(begin, std::min(begin + grain, count));
      for (const int threads : {1, 2, 5}) EXPECT_EQ(chunks_of(threads, count, grain), want);
    }
}

TEST(ParallelFor, GrainBelowOneIsOne) { EXPECT_EQ(chunks_of(2, 3, 0), chunks_of(2, 3, 1)); }

// Worker numbers select scratch buffers: two chunks running at once must not share one.
TEST(ParallelFor, WorkersDoNotOverlap) {
  constexpr int kThreads = 4;
  const Exec exec(Target::portable, kThreads);
  std::vector<std::atomic<int>> busy(kThreads);
  parallel_for(exec, 400, 1, [&](i64, i64, int worker) {
    EXPECT_EQ(busy[size_t(worker)].fetch_add(1), 0);
    volatile int work = 0;
    for (int i = 0; i < 1000; ++i) work = work + i;
    busy[size_t(worker)].fetch_sub(1);
  });
}

}  // namespace
}  // namespace offramp
