// Every row of the gemm table against the reference.
#include "kernels/gemm/gemm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/error.h"
#include "kernels/gemm/gemm_ref.h"
#include "kernels/recorder.h"
#include "tests/support/compare.h"
#include "tests/support/counting.h"
#include "tests/support/fill.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/targets.h"

namespace offramp::kernels {
namespace {

using testing::all_close;
using testing::all_equal;
using testing::GuardedBuffer;

constexpr Act kActs[] = {Act::none, Act::relu, Act::relu6, Act::hard_swish, Act::hard_sigmoid, Act::sigmoid};

// One problem with its operands; `b_rows` chooses b = [n][k] (weights), else [k][n]; `a_turned` a = [k][m].
struct Problem {
  GemmDims d;
  bool a_turned = false, b_rows = true, bias = false, residual = false;
  Act act = Act::none;
  i64 gap = 0;  // elements between the rows of every operand

  std::vector<float> a, b, bias_values, residual_values;

  template <class Fill>
  Problem& fill(Fill&& fill) {
    a.resize(size_t(std::max(d.m, d.k) * (std::max(d.m, d.k) + gap)));
    b.resize(size_t(std::max(d.n, d.k) * (std::max(d.n, d.k) + gap)));
    bias_values.resize(size_t(d.n));
    residual_values.resize(size_t(d.m * c_row()));
    u64 seed = 1;
    for (auto* v : {&a, &b, &bias_values, &residual_values}) fill(std::span<float>(*v), seed++);
    return *this;
  }
  i64 c_row() const { return d.n + gap; }

  GemmCall call(float* c) const {
    return {.dims = d,
            .a = a.data(),
            .a_row = a_turned ? 1 : d.k + gap,
            .a_k = a_turned ? d.m + gap : 1,
            .b = b.data(),
            .b_col = b_rows ? d.k + gap : 1,
            .b_k = b_rows ? 1 : d.n + gap,
            .bias = bias ? bias_values.data() : nullptr,
            .residual = residual ? residual_values.data() : nullptr,
            .act = act,
            .c = c,
            .c_row = c_row()};
  }
  // Results in double, densely [m][n]; with `magnitudes`, sums of absolute values instead.
  std::vector<double> expected(bool magnitudes = false) const {
    const auto widen = [&](const std::vector<float>& v) {
      std::vector<double> out(v.begin(), v.end());
      if (magnitudes)
        for (double& x : out) x = std::fabs(x);
      return out;
    };
    const auto a2 = widen(a), b2 = widen(b), bias2 = widen(bias_values), residual2 = widen(residual_values);
    std::vector<double> c(size_t(d.m * c_row()));
    const GemmCall f = call(nullptr);
    gemm_ref(GemmCallT<double>{.dims = d,
                               .a = a2.data(),
                               .a_row = f.a_row,
                               .a_k = f.a_k,
                               .b = b2.data(),
                               .b_col = f.b_col,
                               .b_k = f.b_k,
                               .bias = bias ? bias2.data() : nullptr,
                               .residual = residual ? residual2.data() : nullptr,
                               .act = magnitudes ? Act::none : act,
                               .c = c.data(),
                               .c_row = f.c_row});
    return dense(std::span<const double>(c));
  }
  template <class T>
  std::vector<T> dense(std::span<const T> c) const {
    std::vector<T> out;
    for (i64 i = 0; i < d.m; ++i)
      out.insert(out.end(), c.begin() + i * c_row(), c.begin() + i * c_row() + d.n);
    return out;
  }
};

void integers(std::span<float> v, u64 seed) { testing::fill_integers(v, seed, 4); }
void reals(std::span<float> v, u64 seed) { testing::fill_reals(v, seed); }
void positive_reals(std::span<float> v, u64 seed) { testing::fill_reals(v, seed, 0, 1); }

// Runs a row into a poisoned, guarded and unaligned output; gaps between rows must stay untouched.
std::vector<float> run(const GemmKernel& row, const Problem& p, int threads = 1,
                       const float* packed = nullptr) {
  Exec exec(row.target, threads);
  GuardedBuffer<float> c((p.d.m - 1) * p.c_row() + p.d.n, 1);
  GemmCall call = p.call(c.data());
  call.packed = packed;
  row.run(exec, call);
  EXPECT_TRUE(c.intact());
  for (i64 i = 0; i + 1 < p.d.m; ++i)
    for (i64 j = p.d.n; j < p.c_row(); ++j)
      EXPECT_NE(c.data()[i * p.c_row() + j], c.data()[i * p.c_row() + j]);
  std::vector<float> padded(c.values().begin(), c.values().end());
  padded.resize(size_t(p.d.m * p.c_row()));
  return p.dense(std::span<const float>(padded));
}

class GemmRow : public ::testing::TestWithParam<GemmKernel> {
 protected:
  void SetUp() override {
    if (!cpu_supports(GetParam().target)) GTEST_SKIP() << "this CPU lacks " << target_name(GetParam().target);
  }
  void exact(Problem p) {
    p.fill(integers);
    ASSERT_TRUE(testing::exact_in_float(p.d.k + 2, 4));
    SCOPED_TRACE("m " + std::to_string(p.d.m) + " n " + std::to_string(p.d.n) + " k " +
                 std::to_string(p.d.k));
    const std::vector<float> got = run(GetParam(), p);
    ASSERT_TRUE(all_equal(std::span<const float>(got), std::span<const double>(p.expected())));
  }
};

TEST_P(GemmRow, ExactOnIntegersAroundTheTile) {
  const std::vector<i64> ms{1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 19};
  std::vector<i64> ns;
  for (i64 n = 1; n <= 50; ++n) ns.push_back(n);
  ns.insert(ns.end(), {63, 64, 65, 95, 96, 97, 99});
  for (i64 m : ms)
    for (i64 n : ns)
      for (i64 k : {1, 2, 5}) {
        exact({.d = {m, n, k},
               .b_rows = (m + n + k) % 2 == 0,
               .bias = n % 2 == 0,
               .residual = m % 2 == 0,
               .gap = n % 3});
        if (HasFatalFailure()) return;
      }
  // Many rows: several units, and packing of b in either order.
  for (i64 m : {64, 255, 257, 700})
    for (bool b_rows : {false, true}) {
      exact({.d = {m, 33, 17}, .b_rows = b_rows});
      exact({.d = {m, 7, 300}, .b_rows = b_rows});
    }
}

TEST_P(GemmRow, ExactWithEitherOperandTurned) {
  for (bool a_turned : {false, true})
    for (bool b_rows : {false, true})
      for (i64 m : {1, 13, 70})
        for (i64 k : {1, 16, 37}) exact({.d = {m, 41, k}, .a_turned = a_turned, .b_rows = b_rows, .gap = 2});
}

TEST_P(GemmRow, CloseOnReals) {
  for (auto* fill : {&reals, &positive_reals})
    for (i64 k : {16, 144, 1031}) {
      Problem p{.d = {21, 53, k}, .bias = true, .residual = true};
      p.fill(*fill);
      const std::vector<double> want = p.expected(), magnitude = p.expected(true);
      const std::vector<float> got = run(GetParam(), p);
      EXPECT_TRUE(all_close(std::span<const float>(got), std::span<const double>(want),
                            [&](i64 i) { return testing::rounding_bound(k + 2, magnitude[size_t(i)]); }));
    }
}

TEST_P(GemmRow, ActivationsAreApplied) {
  for (Act act : kActs)
    for (i64 n : {1, 40, 53}) {
      Problem p{.d = {11, n, 30}, .bias = true, .residual = true, .act = act};
      p.fill([](std::span<float> v, u64 seed) { testing::fill_reals(v, seed, -2, 2); });
      const std::vector<double> want = p.expected(), magnitude = p.expected(true);
      const std::vector<float> got = run(GetParam(), p);
      // No slope exceeds 1.5; the activation itself rounds a few times.
      EXPECT_TRUE(
          all_close(std::span<const float>(got), std::span<const double>(want),
                    [&](i64 i) { return 1.5 * testing::rounding_bound(32, magnitude[size_t(i)]) + 1e-6; }))
          << "activation " << int(act);
    }
}

TEST_P(GemmRow, NanIsPassedOn) {
  Problem p{.d = {9, 50, 8}};
  for (Act act : {Act::none, Act::relu, Act::relu6}) {
    p.act = act;
    p.fill(integers);
    p.a[0] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> got = run(GetParam(), p);
    for (i64 j = 0; j < p.d.n; ++j) EXPECT_TRUE(std::isnan(got[size_t(j)]));
  }
}

TEST_P(GemmRow, SameBitsForAnyRowsPackingAndThreads) {
  const GemmKernel& row = GetParam();
  if (!row.selectable) GTEST_SKIP() << "makes no such promise";
  for (bool b_rows : {false, true})
    for (i64 k : {16, 77}) {
      Problem p{.d = {530, 75, k}, .b_rows = b_rows, .bias = true, .residual = true, .act = Act::hard_swish};
      p.fill(reals);
      const std::vector<float> all = run(row, p);
      EXPECT_TRUE(all_equal(std::span<const float>(run(row, p, 2)), std::span<const float>(all)));

      const GemmCall call = p.call(nullptr);
      GuardedBuffer<float> packed(gemm_packed_floats(p.d, row.target));
      gemm_pack(p.d, row.target, call.b, call.b_col, call.b_k, packed.data());
      EXPECT_TRUE(packed.intact());
      EXPECT_TRUE(
          all_equal(std::span<const float>(run(row, p, 1, packed.data())), std::span<const float>(all)));

      for (i64 m : {1, 3, 8, 10, 65}) {
        Problem few = p;
        few.d.m = m;
        const auto same = std::span<const float>(all).first(size_t(m * p.d.n));
        EXPECT_TRUE(all_equal(std::span<const float>(run(row, few)), same));
        EXPECT_TRUE(all_equal(std::span<const float>(run(row, few, 2, packed.data())), same));
      }
    }
}

TEST_P(GemmRow, ResidualMayBeTheOutput) {
  Problem p{.d = {17, 50, 12}, .residual = true, .act = Act::relu};
  p.fill(integers);
  Exec exec(GetParam().target);
  GuardedBuffer<float> c(p.d.m * p.d.n);
  std::copy(p.residual_values.begin(), p.residual_values.end(), c.values().begin());
  GemmCall call = p.call(c.data());
  call.residual = c.data();
  GetParam().run(exec, call);
  EXPECT_TRUE(all_equal(std::span<const float>(c.values()), std::span<const double>(p.expected())));
}

INSTANTIATE_TEST_SUITE_P(Table, GemmRow, ::testing::ValuesIn(gemm_kernels().begin(), gemm_kernels().end()),
                         [](const auto& row) {
                           std::string name(row.param.name);
                           std::replace(name.begin(), name.end(), '/', '_');
                           return name;
                         });

TEST(Gemm, DeclaredMacsAreCounted) {
  using testing::Counting;
  const GemmDims d{3, 4, 7};
  std::vector<Counting> a(21, 1.0), b(28, 2.0), c(12);
  Counting::reset();
  gemm_ref(GemmCallT<Counting>{.dims = d,
                               .a = a.data(),
                               .a_row = 7,
                               .a_k = 1,
                               .b = b.data(),
                               .b_col = 7,
                               .b_k = 1,
                               .c = c.data(),
                               .c_row = 4});
  EXPECT_EQ(Counting::multiplies, gemm_cost(d).macs);
}

TEST(Gemm, TheDoorTakesARowOfTheForcedTarget) {
  for (Target target : testing::runnable_targets())
    for (i64 m : {1, 7, 300}) {
      const GemmDims d{m, 20, 9};
      EXPECT_EQ(select_gemm(d, target).target, target);
      Exec exec(target);
      Recorder recorder;
      exec.recorder = &recorder;
      Problem p{.d = d};
      p.fill(integers);
      std::vector<float> c(size_t(d.m * d.n));
      gemm(exec, p.call(c.data()));
      ASSERT_EQ(recorder.calls.size(), 1u);
      EXPECT_TRUE(recorder.calls[0].kernel.ends_with(target_name(target))) << recorder.calls[0].kernel;
      EXPECT_EQ(recorder.calls[0].cost, gemm_cost(d));
      EXPECT_TRUE(all_equal(std::span<const float>(c), std::span<const double>(p.expected())));
    }
}

TEST(Gemm, ADryRecorderTouchesNothing) {
  for (Target target : built_targets()) {
    Exec exec(target, 2, true);
    Recorder recorder{.dry = true};
    exec.recorder = &recorder;
    float* nowhere = reinterpret_cast<float*>(64);
    gemm(exec, GemmCall{.dims = {8, 8, 8},
                        .a = nowhere,
                        .a_row = 8,
                        .a_k = 1,
                        .b = nowhere,
                        .b_col = 8,
                        .b_k = 1,
                        .bias = nowhere,
                        .c = nowhere,
                        .c_row = 8});
    ASSERT_EQ(recorder.calls.size(), 1u);
    EXPECT_TRUE(std::holds_alternative<GemmCall>(recorder.calls[0].call));
  }
}

TEST(Gemm, RequireNamesWhatItGot) {
  EXPECT_NO_THROW(require_gemm({1, 1, 1}));
  for (const GemmDims& d :
       {GemmDims{0, 1, 1}, GemmDims{1, -2, 1}, GemmDims{1, 1, 0}, GemmDims{i64{1} << 30, 1, 1 << 10}})
    EXPECT_THROW(require_gemm(d), Error);
  try {
    require_gemm({5, 0, 3});
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::input);
    EXPECT_NE(std::string(e.what()).find("n 0"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace offramp::kernels
