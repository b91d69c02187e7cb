// Every row of the conv2d table against the reference.
#include "kernels/conv2d/conv2d.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/error.h"
#include "kernels/recorder.h"
#include "tests/kernels/conv2d/problem.h"
#include "tests/support/compare.h"
#include "tests/support/counting.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/targets.h"

namespace offramp::kernels {
namespace {

using testing::all_close;
using testing::all_equal;
using testing::GuardedBuffer;
using Problem = Conv2dProblem<float>;

void integers(std::span<float> v, u64 seed) { testing::fill_integers(v, seed, 4); }
void reals(std::span<float> v, u64 seed) { testing::fill_reals(v, seed); }
void positive_reals(std::span<float> v, u64 seed) { testing::fill_reals(v, seed, 0, 1); }

std::vector<float> run(const Conv2dKernel& row, const Problem& p, int threads = 1,
                       const float* packed = nullptr) {
  Exec exec(row.target, threads);
  GuardedBuffer<float> y(y_size(p.d), 1);
  Conv2dCall call = p.call(y.data());
  call.packed = packed;
  row.run(exec, call);
  EXPECT_TRUE(y.intact());
  return {y.values().begin(), y.values().end()};
}

class Conv2dRow : public ::testing::TestWithParam<Conv2dKernel> {
 protected:
  void SetUp() override {
    if (!cpu_supports(GetParam().target)) GTEST_SKIP() << "this CPU lacks " << target_name(GetParam().target);
  }
};

TEST_P(Conv2dRow, ExactOnIntegers) {
  const Conv2dKernel& row = GetParam();
  int checked = 0;
  for (const Conv2dDims& d : conv2d_shapes()) {
    if (!row.accepts(d)) continue;
    SCOPED_TRACE(name_of(d));
    ASSERT_TRUE(testing::exact_in_float(products_of_y(d) + 2, 4));
    Problem p{.d = d};
    p.extra_kernel = checked % 3 == 0 ? 2 : 0;
    p.extra_in = checked % 4;
    p.has_bias = checked % 2 == 0;
    p.has_residual = checked % 5 == 0;
    p.fill(integers);
    const std::vector<float> want = p.reference();
    ASSERT_TRUE(all_equal(std::span<const float>(run(row, p)), std::span<const float>(want)));
    ++checked;
  }
  EXPECT_GT(checked, 15);
}

// Shapes with some rounding, each accepted by one row at least.
constexpr Conv2dDims kRealShapes[] = {{3, 14, 14, 24, 40, 1, 1, 0, 1},
                                      {3, 9, 7, 20, 33, 3, 1, 1, 1},
                                      {2, 11, 13, 12, 18, 5, 2, 2, 1},
                                      {2, 8, 8, 12, 24, 3, 2, 1, 4}};

TEST_P(Conv2dRow, CloseOnReals) {
  for (const Conv2dDims& d : kRealShapes)
    for (auto* fill : {&reals, &positive_reals}) {
      if (!GetParam().accepts(d)) continue;
      Problem p{.d = d, .has_bias = true, .has_residual = true};
      p.fill(*fill);
      const std::vector<double> want = p.widened().reference(), magnitude = p.widened(true).reference();
      EXPECT_TRUE(all_close(
          std::span<const float>(run(GetParam(), p)), std::span<const double>(want),
          [&](i64 i) { return testing::rounding_bound(products_of_y(d) + 2, magnitude[size_t(i)]); }))
          << name_of(d);
    }
}

TEST_P(Conv2dRow, ActivationsAreApplied) {
  for (const Conv2dDims& d : kRealShapes)
    for (Act act : {Act::relu, Act::relu6, Act::hard_swish, Act::hard_sigmoid, Act::sigmoid}) {
      if (!GetParam().accepts(d)) continue;
      Problem p{.d = d, .has_bias = true, .has_residual = true, .act = act};
      p.fill(reals);
      const std::vector<double> want = p.widened().reference(), magnitude = p.widened(true).reference();
      EXPECT_TRUE(
          all_close(std::span<const float>(run(GetParam(), p)), std::span<const double>(want),
                    [&](i64 i) {
                      return 1.5 * testing::rounding_bound(products_of_y(d) + 2, magnitude[size_t(i)]) + 1e-6;
                    }))
          << name_of(d) << " activation " << int(act);
    }
}

TEST_P(Conv2dRow, SameBitsForAnyBatchPackingAndThreads) {
  const Conv2dKernel& row = GetParam();
  for (Conv2dDims d : kRealShapes) {
    if (!row.accepts(d)) continue;
    SCOPED_TRACE(name_of(d));
    d.n = 37;
    Problem all{.d = d, .has_bias = true, .has_residual = true, .act = Act::hard_swish};
    all.fill(reals);
    const std::vector<float> want = run(row, all);
    EXPECT_TRUE(all_equal(std::span<const float>(run(row, all, 2)), std::span<const float>(want)));

    GuardedBuffer<float> packed(conv2d_packed_floats(d, row.target));
    conv2d_pack(d, row.target, all.view(), packed.data());
    EXPECT_TRUE(packed.intact());
    EXPECT_TRUE(
        all_equal(std::span<const float>(run(row, all, 1, packed.data())), std::span<const float>(want)));

    const i64 x_image = x_size(d) / d.n, y_image = y_size(d) / d.n;
    for (i64 image : {0, 1, 36}) {
      Problem one = all;
      one.d.n = 1;
      one.x.assign(all.x.begin() + image * x_image, all.x.begin() + (image + 1) * x_image);
      one.residual.assign(all.residual.begin() + image * y_image,
                          all.residual.begin() + (image + 1) * y_image);
      const auto same = std::span<const float>(want).subspan(size_t(image * y_image), size_t(y_image));
      EXPECT_EQ(conv2d_packed_floats(one.d, row.target), conv2d_packed_floats(d, row.target));
      EXPECT_TRUE(all_equal(std::span<const float>(run(row, one)), same));
      EXPECT_TRUE(all_equal(std::span<const float>(run(row, one, 2, packed.data())), same));
    }
  }
}

TEST_P(Conv2dRow, RowsOfATargetAgree) {
  for (const Conv2dKernel& other : conv2d_kernels())
    for (const Conv2dDims& d : kRealShapes) {
      if (other.target != GetParam().target || !other.accepts(d) || !GetParam().accepts(d)) continue;
      Problem p{.d = d, .has_bias = true};
      p.fill(reals);
      EXPECT_TRUE(
          all_equal(std::span<const float>(run(GetParam(), p)), std::span<const float>(run(other, p))))
          << other.name;
    }
}

INSTANTIATE_TEST_SUITE_P(Table, Conv2dRow,
                         ::testing::ValuesIn(conv2d_kernels().begin(), conv2d_kernels().end()),
                         [](const auto& row) {
                           std::string name(row.param.name);
                           std::replace(name.begin(), name.end(), '/', '_');
                           return name;
                         });

TEST(Conv2d, DeclaredMacsAreCounted) {
  using testing::Counting;
  for (const Conv2dDims& d : {Conv2dDims{2, 5, 4, 3, 4, 3, 1, 1, 1}, Conv2dDims{1, 7, 7, 4, 6, 5, 2, 2, 2},
                              Conv2dDims{1, 3, 3, 2, 5, 1, 1, 0, 1}}) {
    Conv2dProblem<Counting> p{.d = d};
    p.fill([](std::span<Counting> v, u64) { std::fill(v.begin(), v.end(), Counting(1)); });
    Counting::reset();
    p.reference();
    EXPECT_EQ(Counting::multiplies, conv2d_cost(d).macs) << name_of(d);
  }
}

TEST(Conv2d, TheDoorTakesARowOfTheForcedTarget) {
  for (Target target : testing::runnable_targets())
    for (const Conv2dDims& d : {Conv2dDims{1, 5, 5, 4, 6, 1}, Conv2dDims{2, 6, 6, 4, 6, 3, 2, 1, 2}}) {
      Exec exec(target);
      Recorder recorder;
      exec.recorder = &recorder;
      Problem p{.d = d};
      p.fill(integers);
      std::vector<float> y(size_t(y_size(d))), gx(size_t(x_size(d))), gw(size_t(w_size(d)));
      conv2d(exec, p.call(y.data()));
      conv2d_grad(exec, p.grad_call(gx.data(), gw.data()));
      ASSERT_EQ(recorder.calls.size(), 2u);
      for (const RecordedCall& call : recorder.calls)
        EXPECT_TRUE(call.kernel.ends_with(target_name(target))) << call.kernel;
      EXPECT_EQ(recorder.calls[0].cost, conv2d_cost(d));
      EXPECT_EQ(recorder.calls[1].cost.macs, 2 * conv2d_cost(d).macs);
      EXPECT_TRUE(std::holds_alternative<std::monostate>(recorder.calls[1].call));
      EXPECT_TRUE(all_equal(std::span<const float>(y), std::span<const float>(p.reference())));
    }
}

TEST(Conv2d, TheRowDoesNotDependOnTheBatch) {
  for (Target target : built_targets())
    for (Conv2dDims d : conv2d_shapes()) {
      d.n = 1;
      const auto name = select_conv2d(d, target).name;
      d.n = 64;
      EXPECT_EQ(select_conv2d(d, target).name, name);
    }
}

TEST(Conv2d, ADryRecorderTouchesNothing) {
  for (Target target : built_targets()) {
    Exec exec(target, 2, true);
    Recorder recorder{.dry = true};
    exec.recorder = &recorder;
    float* nowhere = reinterpret_cast<float*>(64);
    const Conv2dDims d{1, 8, 8, 4, 4, 3, 1, 1, 1};
    conv2d(exec, Conv2dCall{.dims = d,
                            .out_h = 8,
                            .out_w = 8,
                            .x = nowhere,
                            .w = dense_weights<float>(nowhere, d),
                            .y = nowhere});
    ASSERT_EQ(recorder.calls.size(), 1u);
    EXPECT_TRUE(std::holds_alternative<Conv2dCall>(recorder.calls[0].call));
  }
}

TEST(Conv2d, RequireNamesWhatItGot) {
  const Conv2dDims good{1, 8, 8, 4, 6, 3, 1, 1, 2};
  EXPECT_NO_THROW(require_conv2d(good));
  const auto with = [&](auto change) {
    Conv2dDims d = good;
    change(d);
    return d;
  };
  for (const Conv2dDims& d :
       {with([](auto& d) { d.n = 0; }), with([](auto& d) { d.c_in = -4; }), with([](auto& d) { d.pad = -1; }),
        with([](auto& d) { d.groups = 4; }), with([](auto& d) { d.kernel = 11; }),
        with([](auto& d) { d.stride = 0; }), with([](auto& d) { d.n = i64{1} << 36; }),
        with([](auto& d) { d.pad = i64{1} << 38; })})
    EXPECT_THROW(require_conv2d(d), Error) << name_of(d);
}

}  // namespace
}  // namespace offramp::kernels
