// The device language itself: what the threads of a warp or block do together. The same expectations hold on
// a card and in the emulation, so that what the emulation shows of a kernel is what a card will do.
#include "kernels/cuda/language.h"

#include <cmath>

#include "tests/support/device.h"
#include "tests/support/fill.h"

namespace offramp::cuda {
namespace {

using namespace offramp::testing;

__global__ void shuffles(float* out) {
  const int t = int(threadIdx.x), lane = t % 32;
  float* mine = out + t * 6;
  const float v = float(t);
  mine[0] = __shfl_sync(0xffffffffu, v, 5);
  mine[1] = __shfl_xor_sync(0xffffffffu, v, 3);
  mine[2] = __shfl_down_sync(0xffffffffu, v, 4u);
  mine[3] = __shfl_up_sync(0xffffffffu, v, 4u);
  mine[4] = __shfl_sync(0xffffffffu, v, 1, 8);
  mine[5] = float(__popc(__ballot_sync(0xffffffffu, lane % 3 == 0)));
}

TEST(CudaLanguage, Shuffles) {
  OFFRAMP_NEEDS_CARD();
  Gpu& gpu = Gpu::instance();
  DeviceArray<float> out(64 * 6);
  launch(gpu, {.op = "test/shuffles", .grid = 1, .block = 64}, shuffles, out.data());
  const std::vector<float> got = out.read();
  for (int t = 0; t < 64; ++t) {
    const int lane = t % 32, warp = t - lane;
    const float* mine = &got[size_t(t) * 6];
    EXPECT_EQ(mine[0], float(warp + 5));
    EXPECT_EQ(mine[1], float(warp + (lane ^ 3)));
    EXPECT_EQ(mine[2], float(lane + 4 < 32 ? t + 4 : t));
    EXPECT_EQ(mine[3], float(lane >= 4 ? t - 4 : t));
    EXPECT_EQ(mine[4], float(warp + lane / 8 * 8 + 1));
    EXPECT_EQ(mine[5], 11.0f);
  }
  EXPECT_TRUE(out.intact());
}

// Every block adds up its part through shared memory; the last one adds the parts in order.
__global__ void ordered_sum(const float* x, i64 count, float* partial, u32* ticket, float* sum) {
  float* const shared = dynamic_shared<float>();
  const int t = int(threadIdx.x), threads = int(blockDim.x);
  float own = 0;
  for (i64 i = i64(blockIdx.x) * threads + t; i < count; i += i64(gridDim.x) * threads) own += x[i];
  shared[t] = own;
  __syncthreads();
  for (int half = threads / 2; half > 0; half /= 2) {
    if (t < half) shared[t] += shared[t + half];
    __syncthreads();
  }
  __shared__ bool last;
  if (t == 0) {
    partial[blockIdx.x] = shared[0];
    __threadfence();
    last = atomicAdd(ticket, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (!last || t != 0) return;
  __threadfence();
  float total = 0;
  for (unsigned b = 0; b < gridDim.x; ++b) total += partial[b];
  *sum = total;
  *ticket = 0;
}

TEST(CudaLanguage, LastBlockSumsInOrder) {
  OFFRAMP_NEEDS_CARD();
  Gpu& gpu = Gpu::instance();
  std::vector<float> x(5000);
  fill_integers(std::span(x), 1, 100);
  double want = 0;
  for (const float v : x) want += v;
  DeviceArray<float> dx(x), partial(7), sum(1);
  for (int again = 0; again < 3; ++again) {  // the ticket is back at zero
    launch(gpu, {.op = "test/sum", .grid = 7, .block = 128, .shared = 128 * 4}, ordered_sum, dx.data(),
           i64(x.size()), partial.data(), gpu.tickets(), sum.data());
    EXPECT_EQ(sum.read()[0], want);
  }
}

// out[block] = over all blocks' rounds, what the one behind it in a circle said in the round before.
__global__ void round_robin(float* said, float* out, u32* barrier) {
  __shared__ float sum;  // stays while other blocks run
  const int block = int(blockIdx.x + blockIdx.y * gridDim.x), blocks = int(gridDim.x * gridDim.y);
  if (threadIdx.x == 0) sum = 0;
  for (int round = 0; round < 3; ++round) {
    if (threadIdx.x == 7) said[block] = float(10 * round + block);
    grid_barrier(barrier);
    if (threadIdx.x == 0) sum += said[(block + 1) % blocks];
    grid_barrier(barrier);
  }
  if (threadIdx.x == 0) out[block] = sum;
}

TEST(CudaLanguage, BlocksOfALaunchWaitForEachOther) {
  OFFRAMP_NEEDS_CARD();
  Gpu& gpu = Gpu::instance();
  DeviceArray<float> said(4), out(4);
  for (int again = 0; again < 3; ++again) {
    launch(gpu, {.op = "test/together", .grid = 2, .block = 64, .grid_y = 2, .together = true}, round_robin,
           said.data(), out.data(), gpu.barrier());
    EXPECT_EQ(out.read(), (std::vector<float>{33, 36, 39, 30}));
  }
}

// a [16][16], b [8 columns][32] bf16 in shared memory, of which the first 16 k count; d [16][8].
__global__ void product_bf16(const Bf16* a, const Bf16* b, float* d) {
  __shared__ __align__(16) Bf16 sa[16 * 16];
  __shared__ __align__(16) Bf16 sb[8 * 32];
  const int lane = int(threadIdx.x);
  copy_async16(sa + lane * 8, a + lane * 8);
  copy_async16(sb + lane * 8, b + lane / 4 * 16 + lane % 2 * 8, lane % 4 < 2);
  copy_async_commit();
  copy_async_wait<0>();
  __syncwarp();
  u32 ra[4], rb[4];
  ldmatrix_x4(ra, sa + lane % 16 * 16 + lane / 16 * 8);
  ldmatrix_x4(rb, sb + lane % 8 * 32 + lane / 8 * 8);
  float sum[4] = {0, 0, 0, 0};
  mma_bf16(sum, ra, {rb[0], rb[1]});
  const int row = lane / 4, col = lane % 4 * 2;
  d[row * 8 + col] = sum[0];
  d[row * 8 + col + 1] = sum[1];
  d[(row + 8) * 8 + col] = sum[2];
  d[(row + 8) * 8 + col + 1] = sum[3];
}

// The same with both operands stored the other way round: a [16 k][16], b [16 k][8].
__global__ void product_bf16_transposed(const Bf16* a, const Bf16* b, float* d) {
  __shared__ __align__(16) Bf16 sa[16 * 16];
  __shared__ __align__(16) Bf16 sb[32 * 8];
  const int lane = int(threadIdx.x);
  for (int i = lane; i < 256; i += 32) sa[i] = a[i];
  for (int i = lane; i < 256; i += 32) sb[i] = i < 128 ? b[i] : Bf16(0.0f);
  __syncwarp();
  u32 ra[4], rb[4];
  // Matrices in the order of the fragment: rows 0-7 and 8-15 of the first 8 k, then of the others.
  ldmatrix_x4_transposed(ra, sa + (lane / 16 * 8 + lane % 8) * 16 + lane / 8 % 2 * 8);
  ldmatrix_x4_transposed(rb, sb + lane * 8);
  float sum[4] = {0, 0, 0, 0};
  mma_bf16(sum, ra, {rb[0], rb[1]});
  const int row = lane / 4, col = lane % 4 * 2;
  d[row * 8 + col] = sum[0];
  d[row * 8 + col + 1] = sum[1];
  d[(row + 8) * 8 + col] = sum[2];
  d[(row + 8) * 8 + col + 1] = sum[3];
}

__global__ void product_tf32(const float* a, const float* b, float* d) {
  const int lane = int(threadIdx.x), g = lane / 4, t = lane % 4;
  const u32 ra[4] = {to_tf32(a[g * 8 + t]), to_tf32(a[(g + 8) * 8 + t]), to_tf32(a[g * 8 + t + 4]),
                     to_tf32(a[(g + 8) * 8 + t + 4])};
  const u32 rb[2] = {to_tf32(b[g * 8 + t]), to_tf32(b[g * 8 + t + 4])};
  float sum[4] = {0, 0, 0, 0};
  mma_tf32(sum, ra, rb);
  d[g * 8 + 2 * t] = sum[0];
  d[g * 8 + 2 * t + 1] = sum[1];
  d[(g + 8) * 8 + 2 * t] = sum[2];
  d[(g + 8) * 8 + 2 * t + 1] = sum[3];
}

std::vector<float> small_integers(i64 count, u64 seed) {
  std::vector<float> out(static_cast<size_t>(count));
  fill_integers(std::span(out), seed, 9);
  return out;
}

TEST(CudaLanguage, TensorCoreProductsOfIntegersAreExact) {
  OFFRAMP_NEEDS_CARD();
  Gpu& gpu = Gpu::instance();
  for (u64 seed = 0; seed < 3; ++seed) {
    const auto a = small_integers(16 * 16, seed), b = small_integers(8 * 16, seed + 9);
    std::vector<float> at(a.size()), bt(b.size());
    for (size_t i = 0; i < 16; ++i)
      for (size_t k = 0; k < 16; ++k) {
        at[k * 16 + i] = a[i * 16 + k];
        if (i < 8) bt[k * 8 + i] = b[i * 16 + k];
      }
    DeviceArray<Bf16> da(a), db(b), dat(at), dbt(bt);
    DeviceArray<float> fa(a), fb(b), d(16 * 8), dt(16 * 8), d32(16 * 8);
    launch(gpu, {.op = "test/bf16", .grid = 1, .block = 32}, product_bf16, da.data(), db.data(), d.data());
    launch(gpu, {.op = "test/bf16t", .grid = 1, .block = 32}, product_bf16_transposed, dat.data(), dbt.data(),
           dt.data());
    launch(gpu, {.op = "test/tf32", .grid = 1, .block = 32}, product_tf32, fa.data(), fb.data(), d32.data());
    const auto got = d.read(), got_t = dt.read(), got_32 = d32.read();
    for (size_t i = 0; i < 16; ++i)
      for (size_t j = 0; j < 8; ++j) {
        float want = 0, want_32 = 0;
        for (size_t k = 0; k < 16; ++k) want += a[i * 16 + k] * b[j * 16 + k];
        for (size_t k = 0; k < 8; ++k) want_32 += a[i * 8 + k] * b[j * 8 + k];
        EXPECT_EQ(got[i * 8 + j], want) << i << " " << j;
        EXPECT_EQ(got_t[i * 8 + j], want) << i << " " << j;
        EXPECT_EQ(got_32[i * 8 + j], want_32) << i << " " << j;
      }
  }
}

__global__ void roundings(const float* x, i64 count, Bf16* one, u32* pair, float* tf32) {
  const i64 i = threadIdx.x;
  if (i >= count) return;
  one[i] = Bf16(x[i]);
  pair[i] = pack_bf16(x[i], -x[i]);
  tf32[i] = __uint_as_float(to_tf32(x[i]));
}

TEST(CudaLanguage, RoundsLikeTheHost) {
  OFFRAMP_NEEDS_CARD();
  Gpu& gpu = Gpu::instance();
  // Ties at the last kept bit, both ways, beside random values.
  std::vector<float> x = {0.0f,    1.0f,   1.00390625f, 1.01171875f,   -1.00390625f,
                          3.0e38f, 1e-40f, INFINITY,    1.00048828125f};
  std::vector<float> more(100);
  fill_reals(std::span(more), 4, -1000, 1000);
  x.insert(x.end(), more.begin(), more.end());
  const i64 n = i64(x.size());
  DeviceArray<float> dx(x), tf32(n);
  DeviceArray<Bf16> one(n);
  DeviceArray<u32> pair(n);
  launch(gpu, {.op = "test/rounding", .grid = 1, .block = 128}, roundings, dx.data(), n, one.data(),
         pair.data(), tf32.data());
  const auto b = one.read();
  const auto p = pair.read();
  const auto t = tf32.read();
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(b[i].bits, Bf16(x[i]).bits) << x[i];
    EXPECT_EQ(p[i], u32(Bf16(x[i]).bits) | u32(Bf16(-x[i]).bits) << 16) << x[i];
    if (!std::isfinite(x[i]) || std::fabs(x[i]) < 1e-30) continue;
    EXPECT_LE(std::fabs(t[i] - x[i]), std::fabs(x[i]) * 0x1p-11) << x[i];
  }
  EXPECT_EQ(Bf16(1.00390625f).bits, 0x3f80);  // a tie goes to the even neighbour
  EXPECT_EQ(Bf16(1.01171875f).bits, 0x3f82);
}

__global__ void add_one(float* x) { x[threadIdx.x] += 1; }

TEST(CudaLanguage, GraphsReplay) {
  OFFRAMP_NEEDS_CARD();
  Gpu& gpu = Gpu::instance();
  DeviceArray<float> x(std::vector<float>(32, 5.0f));
  Graph graph(gpu, [&] {
    for (int i = 0; i < 3; ++i) launch(gpu, {.op = "test/add", .grid = 1, .block = 32}, add_one, x.data());
  });
  EXPECT_EQ(graph.nodes(), 3);
  EXPECT_EQ(x.read()[0], 5);  // capturing runs nothing
  graph.launch();
  graph.launch();
  EXPECT_EQ(x.read()[7], 11);
}

}  // namespace
}  // namespace offramp::cuda
