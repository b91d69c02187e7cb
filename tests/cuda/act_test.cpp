// Device rows of the activations against the reference in double.
#include "kernels/act/act.h"

#include <array>

#include "kernels/act/act_ref.h"
#include "tests/support/compare.h"
#include "tests/support/device.h"
#include "tests/support/fill.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

constexpr std::array kActs = {Act::none,       Act::relu,         Act::relu6,
                              Act::hard_swish, Act::hard_sigmoid, Act::sigmoid};

template <class T>
struct CudaAct : ::testing::Test {};
using Types = ::testing::Types<float, Bf16>;
TYPED_TEST_SUITE(CudaAct, Types);

template <class T, class Run, class Want>
void check(i64 count, i64 offset, Run&& run, Want&& want) {
  std::vector<float> x(static_cast<size_t>(count)), gy(x.size());
  fill_reals(std::span(x), u64(count), -9, 9);
  fill_reals(std::span(gy), u64(count) + 1, -2, 2);
  x = rounded_to<T>(x), gy = rounded_to<T>(gy);
  DeviceArray<T> dx(x, offset), dgy(gy, offset), y(count, offset);
  run(dx.data(), dgy.data(), y.data());
  std::vector<double> wanted;
  for (size_t i = 0; i < x.size(); ++i) wanted.push_back(want(double(x[i]), double(gy[i])));
  const auto bound = [&](i64 i) {
    return 1e-6 * std::fmax(std::fabs(wanted[size_t(i)]), 1.0) +
           storage_error<T>() * std::fabs(wanted[size_t(i)]);
  };
  EXPECT_TRUE((all_close<float, double>(y.floats(), wanted, bound)))
      << "count " << count << " offset " << offset;
  EXPECT_TRUE(y.intact());
}

TYPED_TEST(CudaAct, ForwardAndGradientAreCloseToDouble) {
  OFFRAMP_NEEDS_CARD();
  using T = TypeParam;
  Exec exec(offramp::cuda::Gpu::instance(), offramp::cuda::Math::f32);
  for (const Act act : kActs)
    for (const i64 count : {1, 7, 8, 255, 256, 2051, 4096})
      for (const i64 offset : {0, 1}) {
        check<T>(
            count, offset,
            [&](T* x, T*, T* y) {
              activate(exec, ActCallT<T>{{count, act}, x, y});
            },
            [&](double x, double) { return apply_act(act, x); });
        check<T>(
            count, offset,
            [&](T* x, T* gy, T* gx) {
              activate_grad(exec, ActGradCallT<T>{{count, act}, x, gy, gx});
            },
            [&](double x, double gy) { return gy * act_slope(act, x); });
      }
}

}  // namespace
}  // namespace offramp::kernels
