#include "kernels/block_cache.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace offramp {
namespace {

// A system that counts, and is short of memory beyond `room` bytes.
struct System {
  i64 room = 1 << 20, used = 0, taken = 0, returned = 0;
  BlockCache::FromSystem from = [this](i64 bytes) -> std::byte* {
    if (used + bytes > room) return nullptr;
    used += bytes;
    ++taken;
    return new std::byte[size_t(bytes)];
  };
  BlockCache::ToSystem to = [this](std::byte* data, i64 bytes) {
    used -= bytes;
    ++returned;
    delete[] data;
  };
};

TEST(BlockCache, SizesAreRoundedUpByAnEighthAtMost) {
  for (i64 bytes = 1; bytes < 100000; bytes += 37) {
    const i64 room = BlockCache::rounded(bytes);
    EXPECT_GE(room, bytes);
    EXPECT_EQ(room % 64, 0);
    EXPECT_LE(room, std::max<i64>(bytes + bytes / 8, bytes + 63)) << bytes;
    EXPECT_EQ(BlockCache::rounded(room), room);
  }
  EXPECT_EQ(BlockCache::rounded(0), 64);
}

TEST(BlockCache, ReusesTheMostRecentBlockOfTheSize) {
  System system;
  BlockCache cache(system.from, system.to, 1 << 20);
  std::byte *a = cache.take(128), *b = cache.take(128), *other = cache.take(256);
  cache.give(a, 128);
  cache.give(b, 128);
  EXPECT_EQ(cache.cached(), 256);
  EXPECT_EQ(cache.take(128), b);
  EXPECT_EQ(cache.take(128), a);
  EXPECT_EQ(system.taken, 3);
  for (std::byte* p : {a, b}) cache.give(p, 128);
  cache.give(other, 256);
  cache.clear();
  EXPECT_EQ(system.used, 0);
}

TEST(BlockCache, TheLongestUnusedGoesBackFirst) {
  System system;
  BlockCache cache(system.from, system.to, 512);
  std::byte *a = cache.take(256), *b = cache.take(192), *c = cache.take(128);
  cache.give(a, 256);
  cache.give(b, 192);
  cache.give(c, 128);  // 576 bytes: a has to go
  EXPECT_EQ(cache.cached(), 320);
  EXPECT_EQ(system.returned, 1);
  EXPECT_EQ(cache.take(192), b);
  cache.give(b, 192);
}

TEST(BlockCache, ABlockOfMoreThanHalfIsNotKept) {
  System system;
  BlockCache cache(system.from, system.to, 512);
  cache.give(cache.take(320), 320);
  EXPECT_EQ(cache.cached(), 0);
  EXPECT_EQ(system.used, 0);
}

TEST(BlockCache, SomeCanGoBackAndOthersStay) {
  System system;
  BlockCache cache(system.from, system.to, 1 << 20);
  std::byte *a = cache.take(128), *b = cache.take(128), *c = cache.take(128), *d = cache.take(256);
  for (std::byte* p : {a, b, c}) cache.give(p, 128);
  cache.give(d, 256);
  std::vector<const std::byte*> all;
  cache.each([&](const std::byte* data, i64 bytes) {
    EXPECT_EQ(bytes, data == d ? 256 : 128);
    all.push_back(data);
  });
  EXPECT_EQ(all, (std::vector<const std::byte*>{a, b, c, d}));
  cache.clear([&](const std::byte* data) { return data == b || data == d; });
  EXPECT_EQ(cache.cached(), 256);
  EXPECT_EQ(system.used, 256);
  EXPECT_EQ(cache.take(128), c);
  EXPECT_EQ(cache.take(128), a);
  EXPECT_EQ(system.taken, 4);
  for (std::byte* p : {a, c}) cache.give(p, 128);
}

TEST(BlockCache, GivesEverythingBackBeforeItGivesUp) {
  System system{.room = 1000};
  BlockCache cache(system.from, system.to, 2000);
  cache.give(cache.take(640), 640);
  std::byte* const larger = cache.take(960);  // fits only without the cached block
  ASSERT_NE(larger, nullptr);
  EXPECT_EQ(cache.take(128), nullptr);
  cache.give(larger, 960);
}

}  // namespace
}  // namespace offramp
