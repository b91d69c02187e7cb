// What the emulated card finds wrong: tests that pass on it say nothing unless these fail there.
#include "kernels/cuda/vector.h"
#include "kernels/error.h"
#include "tests/support/device.h"

#if defined(OFFRAMP_CUDA_EMULATED)
#include <algorithm>
#include <cmath>

namespace offramp::cuda {
namespace {

using namespace offramp::testing;

__global__ void nothing(float*) {}
__global__ void wide_copy(const float* from, float* to) { store<4>(to, load<4>(from)); }
__global__ void numbers_in_order(u32* ticket, float* order) {
  if (threadIdx.x == 0) order[blockIdx.x + 8 * (blockIdx.y + 4 * blockIdx.z)] = float(atomicAdd(ticket, 1u));
}
__global__ void reads_shared_memory(float* out, bool writes) {
  __shared__ float declared[32];
  float* const asked_for = dynamic_shared<float>();
  if (writes) declared[threadIdx.x] = asked_for[threadIdx.x] = 1;
  __syncthreads();
  out[blockIdx.x * 64 + threadIdx.x] = declared[31 - threadIdx.x];
  out[blockIdx.x * 64 + 32 + threadIdx.x] = asked_for[31 - threadIdx.x];
}

__global__ void waits_for_blocks(float* out, u32* barrier, i64 leaves) {
  if (i64(blockIdx.x) == leaves) return;
  grid_barrier(barrier);
  out[blockIdx.x] = 1;
}

TEST(CudaEmulation, RefusesWhatACardRefuses) {
  Gpu& gpu = Gpu::instance();
  float* const none = nullptr;
  const auto refused = [&](Launch l) {
    l.op = "test/nothing";
    EXPECT_THROW(launch(gpu, l, nothing, none), Error);
  };
  refused({.grid = 1, .block = 1025});
  refused({.grid = 1, .block = 32, .shared = 227 * 1024 + 1});
  refused({.grid = i64{1} << 31, .block = 32});
  refused({.grid = 1, .block = 32, .grid_y = 65536});
  refused({.grid = 1, .block = 32, .grid_z = 65536});
  launch(gpu, {.op = "test/nothing", .grid = 1, .block = 1024, .shared = 227 * 1024}, nothing, none);
}

TEST(CudaEmulation, BlocksWaitForEachOtherOnlyWhereTheyRunTogether) {
  Gpu& gpu = Gpu::instance();
  const int all = gpu.properties().multiprocessors;
  DeviceArray<float> out(all + 1);
  const auto launched = [&](i64 blocks, bool together, i64 leaves) {
    launch(gpu, {.op = "test/together", .grid = blocks, .block = 32, .together = together}, waits_for_blocks,
           out.data(), gpu.barrier(), leaves);
  };
  launched(all, true, -1);
  EXPECT_THROW(launched(all + 1, true, -1), Error);
  EXPECT_THROW(launched(all, false, -1), Error);
  EXPECT_THROW(launched(all, true, 2), Error);
}

TEST(CudaEmulation, RefusesWideAccessesThatAreNotAligned) {
  Gpu& gpu = Gpu::instance();
  DeviceArray<float> a(std::vector<float>(8, 1.0f)), b(8);
  const auto copied = [&](i64 from, i64 to) {
    launch(gpu, {.op = "test/wide", .grid = 1, .block = 1}, wide_copy,
           static_cast<const float*>(a.data() + from), b.data() + to);
  };
  copied(0, 4);
  EXPECT_EQ(b.read()[7], 1);
  EXPECT_THROW(copied(1, 0), Error);
  EXPECT_THROW(copied(0, 2), Error);
}

TEST(CudaEmulation, BlocksRunInAnOrderThatChanges) {
  Gpu& gpu = Gpu::instance();
  std::vector<std::vector<float>> orders;
  for (int i = 0; i < 2; ++i) {
    DeviceArray<float> order(8 * 4 * 2);
    DeviceArray<u32> ticket(1);
    fill_bytes(gpu.stream(), ticket.data(), 0, 4);
    launch(gpu, {.op = "test/order", .grid = 8, .block = 32, .grid_y = 4, .grid_z = 2}, numbers_in_order,
           ticket.data(), order.data());
    orders.push_back(order.floats());
  }
  EXPECT_NE(orders[0], orders[1]);
  std::sort(orders[0].begin(), orders[0].end());
  for (size_t i = 0; i < orders[0].size(); ++i) EXPECT_EQ(orders[0][i], float(i));  // each once
}

TEST(CudaEmulation, SharedMemoryHoldsNothingWhenABlockBegins) {
  Gpu& gpu = Gpu::instance();
  DeviceArray<float> out(2 * 64);
  for (const bool writes : {true, false}) {
    launch(gpu, {.op = "test/shared", .grid = 2, .block = 32, .shared = 32 * 4}, reads_shared_memory,
           out.data(), writes);
    for (const float v : out.floats()) EXPECT_TRUE(writes ? v == 1 : std::isnan(v));
  }
}

}  // namespace
}  // namespace offramp::cuda
#endif
