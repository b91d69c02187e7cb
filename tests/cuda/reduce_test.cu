// Sums over all blocks of a launch: right for every number of blocks, the same bits whoever is done first,
// and the counters back at zero.
#include "kernels/cuda/reduce.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "tests/support/compare.h"
#include "tests/support/device.h"
#include "tests/support/fill.h"

namespace offramp::cuda {
namespace {

using namespace offramp::testing;

// One group, the last size that is one, the first that is several, several with a smaller last one, many.
constexpr std::array kBlocks = {1, 2, 31, 32, 33, 37, 100, 1000, 2000};
// Several threads for an element, one for each, several elements for each; none a multiple of a warp.
constexpr std::array<i64, 4> kCounts = {1, 24, 200, 300};
constexpr int kThreads = 256, kSeries = 2;

// Block `order[x]` of each series brings its part.
template <class How>
__global__ void combine(const float* parts, const i32* order, Parts p, i64 count, float* out) {
  const i64 series = blockIdx.y, fields = How::kFields * count;
  const int block = order[blockIdx.x];
  const i64 mine = (series * p.blocks + block) * p.length;
  for (i64 i = threadIdx.x; i < fields; i += blockDim.x) p.part[mine + i] = parts[mine + i];
  const float* total;
  if (!combine_parts<How>(p, series, block, count, &total)) return;
  // Written once: a second block that believes to be the last spoils it.
  for (i64 i = threadIdx.x; i < fields; i += blockDim.x)
    out[series * fields + i] = isfinite(out[series * fields + i]) ? NAN : total[i];
}

// The parts [series][blocks][fields * count + gap], combined; blocks come in the given order.
template <class How>
std::vector<float> combined(const std::vector<float>& parts, const Parts& shape, i64 count,
                            const std::vector<i32>& order) {
  Gpu& gpu = Gpu::instance();
  DeviceArray<float> given(parts), scratch(parts_floats(shape, kSeries)),
      out(i64{kSeries} * How::kFields * count);
  DeviceArray<i32> dorder(shape.blocks);
  copy(gpu.stream(), dorder.data(), order.data(), shape.blocks * 4);
  Parts p = shape;
  place_parts(p, kSeries, scratch.data(), gpu.tickets());
  launch(gpu, {.op = "test/combine", .grid = shape.blocks, .block = kThreads, .grid_y = kSeries},
         combine<How>, static_cast<const float*>(given.data()), static_cast<const i32*>(dorder.data()), p,
         count, out.data());
  gpu.synchronize();
  EXPECT_TRUE(scratch.intact() && out.intact());
  std::vector<u32> tickets(size_t(kSeries * (shape.groups + 1)));
  copy(gpu.stream(), tickets.data(), gpu.tickets(), i64(tickets.size()) * 4);
  gpu.synchronize();
  EXPECT_EQ(std::count(tickets.begin(), tickets.end(), 0u), i64(tickets.size()));
  return out.floats();
}

// First to last, last to first, and two shuffles; the results of all, which must be one.
template <class How>
std::vector<float> in_any_order(const std::vector<float>& parts, const Parts& shape, i64 count) {
  std::vector<i32> order(static_cast<size_t>(shape.blocks));
  std::iota(order.begin(), order.end(), 0);
  const std::vector<float> want = combined<How>(parts, shape, count, order);
  std::reverse(order.begin(), order.end());
  for (u64 seed = 0; seed < 3; ++seed) {
    const std::vector<float> got = combined<How>(parts, shape, count, order);
    EXPECT_EQ(std::memcmp(got.data(), want.data(), got.size() * 4), 0) << "order " << seed;
    Rng rng(seed);
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(u32(i))]);
  }
  return want;
}

TEST(CudaReduce, SumsOfIntegersAreExact) {
  OFFRAMP_NEEDS_CARD();
  for (const int blocks : kBlocks)
    for (const i64 count : kCounts) {
      SCOPED_TRACE(std::to_string(blocks) + " blocks, " + std::to_string(count) + " sums");
      const Parts shape = parts_of(blocks, count + 3);
      EXPECT_EQ(shape.groups > 1, blocks > 32);
      std::vector<float> parts(size_t(kSeries * blocks * shape.length));
      fill_integers(std::span(parts), u64(blocks), 1000);
      std::vector<double> want(size_t(kSeries * count), 0);
      for (i64 s = 0; s < kSeries; ++s)
        for (i64 b = 0; b < blocks; ++b)
          for (i64 i = 0; i < count; ++i)
            want[size_t(s * count + i)] += parts[size_t((s * blocks + b) * shape.length + i)];
      const std::vector<float> got = in_any_order<AddParts>(parts, shape, count);
      EXPECT_TRUE((all_equal<float, double>(got, want)));
    }
}

// Sums are taken in double and round twice: when a group's is stored, and the groups'.
TEST(CudaReduce, SumsOfRealsRoundTwice) {
  OFFRAMP_NEEDS_CARD();
  for (const int blocks : {32, 2000}) {
    const i64 count = 64;
    const Parts shape = parts_of(blocks, count);
    std::vector<float> parts(size_t(kSeries * blocks * count));
    fill_reals(std::span(parts), 3, -1, 1);
    std::vector<double> want(size_t(kSeries * count), 0), bound(want);
    for (i64 s = 0; s < kSeries; ++s)
      for (i64 i = 0; i < count; ++i) {
        const size_t at = size_t(s * count + i);
        for (i64 first = 0; first < blocks; first += shape.group_size) {
          double sum = 0;
          for (i64 b = first; b < std::min(first + shape.group_size, i64(blocks)); ++b)
            sum += parts[size_t((s * blocks + b) * count + i)];
          want[at] += sum;
          if (shape.groups > 1) bound[at] += 0x1p-24 * std::fabs(sum);
        }
        bound[at] += 0x1.001p-24 * std::fabs(want[at]);
      }
    const std::vector<float> got = in_any_order<AddParts>(parts, shape, count);
    EXPECT_TRUE((all_close<float, double>(got, want, [&](i64 i) { return bound[size_t(i)]; })));
  }
}

// Counts differ, some parts are empty, and the means are far from 0 where sums of squares would lose all.
TEST(CudaReduce, MomentsAreThoseOfAllValues) {
  OFFRAMP_NEEDS_CARD();
  for (const int blocks : kBlocks)
    for (const i64 count : {i64{8}, i64{200}}) {
      SCOPED_TRACE(std::to_string(blocks) + " blocks, " + std::to_string(count) + " channels");
      const Parts shape = parts_of(blocks, 3 * count);
      std::vector<float> parts(size_t(kSeries * blocks * shape.length));
      std::vector<double> n(size_t(kSeries * count), 0), sum(n), squares(n);
      Rng rng{u64(blocks), u64(count)};
      const auto each = [&](auto&& f) {
        for (i64 s = 0; s < kSeries; ++s)
          for (i64 b = 0; b < blocks; ++b)
            for (i64 i = 0; i < count; ++i)
              f(size_t(s * count + i), &parts[size_t((s * blocks + b) * shape.length + i)], b);
      };
      each([&](size_t, float* p, i64 b) {
        const bool empty = b % 5 == 3;
        p[0] = empty ? 0.0f : float(1 + rng.below(200));
        p[count] = empty ? 0.0f : 1000 + rng.uniform(-1, 1);
        p[2 * count] = empty || p[0] == 1 ? 0.0f : p[0] * rng.uniform(0.5, 2);
      });
      each([&](size_t i, const float* p, i64) { n[i] += p[0], sum[i] += double(p[0]) * double(p[count]); });
      each([&](size_t i, const float* p, i64) {
        const double d = double(p[count]) - sum[i] / n[i];
        squares[i] += double(p[2 * count]) + double(p[0]) * d * d;
      });
      const std::vector<float> got = in_any_order<MomentParts>(parts, shape, count);
      for (i64 s = 0; s < kSeries; ++s)
        for (i64 i = 0; i < count; ++i) {
          const size_t at = size_t(s * count + i);
          const float* const of = &got[size_t(s * 3 * count + i)];
          const double mean = sum[at] / n[at];
          EXPECT_EQ(of[0], n[at]);
          // A group's mean is stored as a float: half a unit of 1000 away, which enters the squares twice.
          const double stored = shape.groups > 1 ? 0x1p-15 : 0;
          EXPECT_NEAR(of[count], mean, stored + 0x1p-15);
          EXPECT_NEAR(
              of[2 * count], squares[at],
              n[at] * (2 * stored + stored * stored) + 0x1p-22 * squares[at] + 1e-14 * n[at] * mean * mean);
        }
    }
}

}  // namespace
}  // namespace offramp::cuda
