// Rows of samples that are left, moved together.
#include "kernels/exit_select/exit_select.h"
#include "tests/cuda/modes.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

template <class T>
struct CudaExitGather : ::testing::Test {};
using Types = ::testing::Types<float, Bf16>;
TYPED_TEST_SUITE(CudaExitGather, Types);

template <class T>
void check(i64 batch, i64 length, i32 count) {
  SCOPED_TRACE(std::to_string(batch) + " rows of " + std::to_string(length) + ", " + std::to_string(count) +
               " left");
  auto& gpu = offramp::cuda::Gpu::instance();
  Exec card(gpu, offramp::cuda::Math::f32);
  const auto x = integers(batch * length, 1, 100);
  std::vector<i32> row(static_cast<size_t>(batch), -1);
  for (i32 i = 0; i < count; ++i) row[size_t(i)] = i32(i64(i) * batch / count);
  DeviceArray<T> dx(x), dy(batch * length);
  DeviceArray<i32> dcount(1), drow(batch);
  offramp::cuda::copy(gpu.stream(), dcount.data(), &count, 4);
  offramp::cuda::copy(gpu.stream(), drow.data(), row.data(), batch * 4);
  cuda::exit_gather(card, ExitGatherCallT<T>{.batch = batch,
                                             .length = length,
                                             .count = dcount.data(),
                                             .row = drow.data(),
                                             .x = dx.data(),
                                             .y = dy.data()});
  const std::vector<float> got = dy.floats();
  i64 wrong = 0;
  for (i64 i = 0; i < batch; ++i)
    for (i64 j = 0; j < length; ++j) {
      const float v = got[size_t(i * length + j)];
      wrong += i < count ? v != x[size_t(row[size_t(i)] * length + j)] : !std::isnan(v);
    }
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(dy.intact());
}

TYPED_TEST(CudaExitGather, MovesTheRowsThatAreLeft) {
  OFFRAMP_NEEDS_CARD();
  for (const i64 length : {1, 7, 64, 3001, 5000})
    for (const i32 count : {0, 1, 5, 9}) check<TypeParam>(9, length, count);
}

// Grids end at 65,535 in all directions but one.
TYPED_TEST(CudaExitGather, TakesAsManyRowsAsThereAre) {
  OFFRAMP_NEEDS_CARD();
  check<TypeParam>(65'537, 8, 65'537);
}

}  // namespace
}  // namespace offramp::kernels
