// What the rows of libraries are finished by, which needs no library.
#include "kernels/cuda/library_rows.h"

#include "kernels/act/act_ref.h"
#include "tests/cuda/modes.h"

namespace offramp {
namespace {

using namespace offramp::testing;

template <class T>
void check_epilogue(bool in_place) {
  auto& gpu = cuda::Gpu::instance();
  const i64 rows = 37, n = 19, y_row = 23, x_row = in_place ? y_row : n;
  const auto x = rounded_to<T>(reals(rows * x_row, 1, -4, 4)), bias = reals(n, 2),
             residual = rounded_to<T>(reals(rows * y_row, 3));
  DeviceArray<T> dx(x), dy(rows * y_row), dresidual(residual);
  DeviceArray<float> dbias(bias);
  for (const Act act : {Act::none, Act::relu, Act::hard_swish}) {
    T* const y = in_place ? dx.data() : dy.data();
    const std::vector<float> before = dx.floats();
    cuda::add_epilogue(gpu, "epilogue", rows, n, static_cast<const T*>(dx.data()), x_row, dbias.data(),
                       static_cast<const T*>(dresidual.data()), act, y, y_row);
    const std::vector<float> got = (in_place ? dx : dy).floats();
    for (i64 i = 0; i < rows; ++i)
      for (i64 j = 0; j < y_row; ++j) {
        const float v = got[size_t(i * y_row + j)];
        if (j >= n) {
          EXPECT_TRUE(in_place ? v == before[size_t(i * y_row + j)] : std::isnan(v)) << i << " " << j;
          continue;
        }
        const float want = kernels::apply_act(
            act, before[size_t(i * x_row + j)] + bias[size_t(j)] + residual[size_t(i * y_row + j)]);
        EXPECT_NEAR(v, want, 1e-6 + 2 * storage_error<T>() * std::fabs(want)) << i << " " << j;
      }
    EXPECT_TRUE(dx.intact() && dy.intact());
  }
}

TEST(CudaLibraryRows, EpilogueAddsAndActivates) {
  OFFRAMP_NEEDS_CARD();
  for (const bool in_place : {false, true}) {
    check_epilogue<float>(in_place);
    check_epilogue<Bf16>(in_place);
  }
}

TEST(CudaLibraryRows, NothingToAddIsNoLaunch) {
  OFFRAMP_NEEDS_CARD();
  auto& gpu = cuda::Gpu::instance();
  DeviceArray<float> x(reals(12, 1));
  cuda::LaunchTimes launches;
  gpu.times = &launches;
  float* const p = x.data();
  const float* const none = nullptr;
  cuda::add_epilogue(gpu, "epilogue", 3, 4, static_cast<const float*>(p), 4, none, none, Act::none, p, 4);
  EXPECT_TRUE(launches.launches.empty());
  cuda::add_epilogue(gpu, "epilogue", 3, 4, static_cast<const float*>(p), 4, none, none, Act::relu, p, 4);
  gpu.times = nullptr;
  EXPECT_EQ(launches.launches.size(), 1u);
}

TEST(CudaLibraryRows, PartsOfScratchAreAlignedAndApart) {
  OFFRAMP_NEEDS_CARD();
  auto& gpu = cuda::Gpu::instance();
  cuda::ScratchParts parts(
      gpu, cuda::ScratchParts::room(300) + cuda::ScratchParts::room(0) + cuda::ScratchParts::room(8));
  auto *a = parts.take<std::byte>(300), *b = parts.take<std::byte>(0), *c = parts.take<std::byte>(8);
  EXPECT_EQ(b - a, 512);
  EXPECT_EQ(c, b);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(c) % 16, 0u);
  cuda::fill_bytes(gpu.stream(), a, 0, 300);
  cuda::fill_bytes(gpu.stream(), c, 0, 8);
  gpu.synchronize();
}

}  // namespace
}  // namespace offramp
