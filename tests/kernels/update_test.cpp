#include "kernels/update/update.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/recorder.h"
#include "kernels/update/update_ref.h"
#include "tests/support/bits.h"
#include "tests/support/compare.h"
#include "tests/support/counting.h"
#include "tests/support/fill.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/targets.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

constexpr i64 kMostCount = 2 * 16 + 3;
constexpr i64 kManyChunks = 3 * 16384 + 21;

std::vector<float> values(i64 count, u64 seed, float low = -1, float high = 1) {
  std::vector<float> out(static_cast<size_t>(count));
  fill_reals(std::span(out), seed, low, high);
  return out;
}

void copy_in(GuardedBuffer<float>& to, const std::vector<float>& from) {
  std::copy(from.begin(), from.end(), to.data());
}

// State of any of the optimisers; unused buffers are left alone.
struct State {
  GuardedBuffer<float> p, m, v;
  std::vector<float> g;
  explicit State(i64 count) : p(count, count % 3), m(count, count % 5), v(count), g(values(count, 4)) {
    copy_in(p, values(count, 1)), copy_in(m, values(count, 2)), copy_in(v, values(count, 3, 0, 1));
  }
  SgdCall sgd(bool nesterov) {
    return {i64(g.size()), 0.1f, 0.9f, 1e-3f, 0.5f, nesterov, g.data(), m.data(), p.data()};
  }
  AdamWCall adamw() {
    return {i64(g.size()), 0.01f, 0.9f,     0.999f,   1e-8f,    0.05f,   0.271f,
            0.002997f,     0.5f,  g.data(), m.data(), v.data(), p.data()};
  }
  EmaCall ema() { return {i64(g.size()), 0.99f, g.data(), p.data()}; }
  ::testing::AssertionResult same(const State& other) const {
    for (const auto& [a, b] : {std::pair(&p, &other.p), std::pair(&m, &other.m), std::pair(&v, &other.v)}) {
      if (auto r = same_bits<float>(a->values(), b->values()); !r) return r;
      if (auto r = a->intact(); !r) return r;
    }
    return ::testing::AssertionSuccess();
  }
};

// Every row gives the bits of the portable one, at every count.
template <class Table, class Call>
void expect_portable_bits(const Table& table, Call&& call_of) {
  ASSERT_EQ(table.back().target, Target::portable);
  for (const auto& row : table) {
    if (!cpu_supports(row.target)) continue;
    for (i64 count = 1; count <= kMostCount; ++count) {
      SCOPED_TRACE(std::string(row.name) + " count " + std::to_string(count));
      State got(count), want(count);
      row.run(call_of(got), 0, count);
      table.back().run(call_of(want), 0, count);
      EXPECT_TRUE(got.same(want));
    }
  }
}

TEST(Update, EveryRowGivesTheBitsOfThePortableOne) {
  for (const bool nesterov : {false, true})
    expect_portable_bits(sgd_table(), [&](State& s) { return s.sgd(nesterov); });
  expect_portable_bits(adamw_table(), [](State& s) { return s.adamw(); });
  expect_portable_bits(ema_table(), [](State& s) { return s.ema(); });
}

TEST(Update, DoorsDoNotDependOnThreads) {
  const auto compare = [](auto&& update) {
    for (const Target target : runnable_targets()) {
      Exec one(target, 1), two(target, 2);
      State a(kManyChunks), b(kManyChunks);
      update(one, a), update(two, b);
      EXPECT_TRUE(a.same(b)) << target_name(target);
    }
  };
  compare([](Exec& exec, State& s) { sgd_update(exec, s.sgd(true)); });
  compare([](Exec& exec, State& s) { adamw_update(exec, s.adamw()); });
  compare([](Exec& exec, State& s) { ema_update(exec, s.ema()); });
}

// By hand, exact in binary: scale 0.5, decay 0.25, momentum 0.5, lr 0.5.
TEST(Sgd, OneStepByHand) {
  for (const Target target : runnable_targets()) {
    Exec exec(target);
    for (const bool nesterov : {false, true}) {
      const float g = 4;
      float v = 2, p = 8;  // g' = 2 + 2 = 4, v = 1 + 4 = 5; nesterov step 4 + 2.5
      sgd_update(exec, SgdCall{1, 0.5f, 0.5f, 0.25f, 0.5f, nesterov, &g, &v, &p});
      EXPECT_EQ(v, 5);
      EXPECT_EQ(p, nesterov ? 8 - 3.25f : 8 - 2.5f);
    }
  }
}

TEST(AdamW, FirstStepMovesByTheLearningRate) {
  for (const Target target : runnable_targets()) {
    Exec exec(target);
    for (const float g : {1e-3f, -5.0f}) {
      float m = 0, v = 0, p = 1;
      adamw_update(exec, AdamWCall{1, 0.125f, 0.9f, 0.999f, 1e-12f, 0, 0.1f, 0.001f, 1, &g, &m, &v, &p});
      EXPECT_NEAR(p, g > 0 ? 0.875 : 1.125, 1e-5);
    }
    float m = 0, v = 0, p = 2;
    const float g = 0;  // decay alone, without a gradient
    adamw_update(exec, AdamWCall{1, 0.125f, 0.9f, 0.999f, 1e-8f, 0.5f, 0.1f, 0.001f, 1, &g, &m, &v, &p});
    EXPECT_EQ(p, 2 * (1 - 0.0625f));
  }
}

TEST(SumSquares, ExactOnIntegersAndIndependentOfThreadsAndTarget) {
  for (const i64 count : {i64{0}, i64{1}, i64{15}, i64{16}, i64{17}, i64{35}, i64{16384}, kManyChunks}) {
    std::vector<float> integers(static_cast<size_t>(count));
    fill_integers(std::span(integers), 3, 50);
    const auto reals = values(count, 5);
    i64 want = 0;
    for (const float v : integers) want += i64(v * v);
    Exec portable(Target::portable);
    const double bits = sum_squares(portable, count, reals.data());
    for (const Target target : runnable_targets())
      for (const int threads : {1, 2}) {
        Exec exec(target, threads);
        EXPECT_EQ(sum_squares(exec, count, integers.data()), double(want)) << count;
        EXPECT_EQ(sum_squares(exec, count, reals.data()), bits) << target_name(target) << " " << count;
      }
    const std::vector<double> wide(reals.begin(), reals.end());
    EXPECT_EQ(sum_squares(portable, count, wide.data()), bits);
  }
}

TEST(SumSquares, LargeGradientsDoNotOverflow) {
  const std::vector<float> x(40, 1e30f);
  for (const Target target : runnable_targets()) {
    Exec exec(target);
    EXPECT_NEAR(sum_squares(exec, 40, x.data()) / 40e60, 1, 1e-6);
  }
}

TEST(Update, DeclaredOperationsAreThoseOfTheReference) {
  const auto per_value = [](auto&& run) {
    Counting::reset();
    run(3);
    const i64 three = Counting::total();
    Counting::reset();
    run(2);
    return three - Counting::total();  // without what is done once a call
  };
  using C = Counting;
  std::vector<C> g(3, C(1)), m(3, C(1)), v(3, C(1)), p(3, C(1));
  for (const bool nesterov : {false, true})
    EXPECT_EQ(per_value([&](i64 count) {
                sgd_reference(SgdCallT<C>{count, 0.1, 0.9, 0.1, 1.0, nesterov, g.data(), v.data(), p.data()},
                              0, count);
              }),
              sgd_cost(1, nesterov).other_ops);
  EXPECT_EQ(per_value([&](i64 count) {
              adamw_reference(AdamWCallT<C>{count, 0.1, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 1.0, g.data(), m.data(),
                                            v.data(), p.data()},
                              0, count);
            }),
            adamw_cost(1).other_ops);
  EXPECT_EQ(per_value([&](i64 count) {
              ema_reference(EmaCallT<C>{count, 0.9, g.data(), p.data()}, 0, count);
            }),
            ema_cost(1).other_ops);
}

TEST(Update, DryDoorsOnlyNote) {
  Exec exec(Target::portable);
  Recorder recorder{.dry = true, .calls = {}};
  exec.recorder = &recorder;
  const auto* in = reinterpret_cast<const float*>(64);
  auto* out = reinterpret_cast<float*>(128);
  sgd_update(exec, SgdCall{5, 1, 1, 1, 1, true, in, out, out});
  adamw_update(exec, AdamWCall{5, 1, 1, 1, 1, 1, 1, 1, 1, in, out, out, out});
  ema_update(exec, EmaCall{5, 1, in, out});
  EXPECT_EQ(sum_squares(exec, 5, in), 0);
  ASSERT_EQ(recorder.calls.size(), 4u);
  EXPECT_EQ(recorder.calls[0].kernel, "sgd/any/portable");
  EXPECT_EQ(recorder.total(), sgd_cost(5, true) + adamw_cost(5) + ema_cost(5) + sum_squares_cost(5));
}

}  // namespace
}  // namespace offramp::kernels
