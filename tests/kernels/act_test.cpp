#include "kernels/act/act.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "kernels/act/act_ref.h"
#include "kernels/recorder.h"
#include "tests/support/bits.h"
#include "tests/support/central_difference.h"
#include "tests/support/compare.h"
#include "tests/support/counting.h"
#include "tests/support/fill.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/targets.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

constexpr std::array kActs = {Act::none,       Act::relu,         Act::relu6,
                              Act::hard_swish, Act::hard_sigmoid, Act::sigmoid};
constexpr i64 kMostCount = 2 * 16 + 3;  // two of the widest vectors and a tail

std::vector<float> inputs(i64 count, u64 seed) {
  std::vector<float> x(static_cast<size_t>(count));
  fill_reals(std::span(x), seed, -9, 9);
  return x;
}

template <class Table, class Body>
void over_rows(const Table& table, Body&& body) {
  for (const auto& row : table) {
    if (!cpu_supports(row.target)) continue;
    SCOPED_TRACE(std::string(row.name));
    body(row);
  }
}

TEST(Act, EveryRowIsCloseToDouble) {
  over_rows(act_table(), [&](const auto& row) {
    for (const Act act : kActs)
      for (i64 count = 1; count <= kMostCount; ++count) {
        const auto x = inputs(count, u64(count));
        GuardedBuffer<float> y(count, count % 3);
        row.run({{count, act}, x.data(), y.data()}, 0, count);
        std::vector<double> want;
        for (const float v : x) want.push_back(apply_act(act, double(v)));
        const auto bound = [&](i64 i) { return 5e-7 * std::fmax(std::fabs(want[size_t(i)]), 0.1); };
        EXPECT_TRUE((all_close<float, double>(y.values(), want, bound))) << int(act) << " count " << count;
        EXPECT_TRUE(y.intact());
      }
  });
}

TEST(Act, IntegersAreExact) {
  over_rows(act_table(), [&](const auto& row) {
    for (const Act act : {Act::none, Act::relu, Act::relu6}) {
      std::vector<float> x(kMostCount);
      fill_integers(std::span(x), 3, 12);
      GuardedBuffer<float> y(kMostCount);
      row.run({{kMostCount, act}, x.data(), y.data()}, 0, kMostCount);
      for (i64 i = 0; i < kMostCount; ++i)
        EXPECT_EQ(y.data()[i], apply_act(act, double(x[size_t(i)]))) << "x " << x[size_t(i)];
    }
  });
}

TEST(Act, ExtremesAreFinite) {
  const std::vector<float> x = {-1e30f, -100, -88, -3, -0.0f, 0, 3, 6, 88, 100, 1e30f};
  const i64 count = i64(x.size());
  over_rows(act_table(), [&](const auto& row) {
    for (const Act act : {Act::relu6, Act::hard_sigmoid, Act::sigmoid}) {
      std::vector<float> y(x.size());
      row.run({{count, act}, x.data(), y.data()}, 0, count);
      for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(y[i], apply_act(act, double(x[i])), 1e-6) << x[i];
    }
  });
}

TEST(ActGrad, EveryRowIsCloseToDouble) {
  over_rows(act_grad_table(), [&](const auto& row) {
    for (const Act act : kActs)
      for (i64 count = 1; count <= kMostCount; ++count) {
        const auto x = inputs(count, u64(count)), gy = inputs(count, 99);
        GuardedBuffer<float> gx(count, count % 3);
        row.run({{count, act}, x.data(), gy.data(), gx.data()}, 0, count);
        std::vector<double> want;
        for (i64 i = 0; i < count; ++i) want.push_back(gy[size_t(i)] * act_slope(act, double(x[size_t(i)])));
        EXPECT_TRUE((all_close<float, double>(gx.values(), want, [](i64) { return 9 * 5e-7; })))
            << int(act) << " count " << count;
        EXPECT_TRUE(gx.intact());
      }
  });
}

TEST(ActGrad, KinksTakeTheOuterSide) {
  const std::vector<float> x = {0, 6, -3, 3}, gy = {2, 2, 2, 2};
  over_rows(act_grad_table(), [&](const auto& row) {
    for (const Act act : {Act::relu, Act::relu6, Act::hard_swish, Act::hard_sigmoid}) {
      std::vector<float> gx(4);
      row.run({{4, act}, x.data(), gy.data(), gx.data()}, 0, 4);
      for (size_t i = 0; i < 4; ++i)
        EXPECT_NEAR(gx[i], 2 * act_slope(act, double(x[i])), 1e-6) << int(act) << " at " << x[i];
    }
  });
  EXPECT_EQ(act_slope(Act::relu, 0.0), 0);
  EXPECT_EQ(act_slope(Act::relu6, 6.0), 0);
  EXPECT_EQ(act_slope(Act::hard_swish, -3.0), 0);
  EXPECT_EQ(act_slope(Act::hard_swish, 3.0), 1);
}

TEST(ActGrad, ReferenceMatchesCentralDifferences) {
  std::vector<double> x = {-4, -2.5, -1, -0.1, 0.2, 1, 2.9, 3.5, 5.5, 7}, gy(10), gx(10), y(10);
  fill_reals(std::span(gy), 8);
  for (const Act act : kActs) {
    act_grad_reference(ActGradCallT<double>{{10, act}, x.data(), gy.data(), gx.data()}, 0, 10);
    const auto loss = [&] {
      act_reference(ActCallT<double>{{10, act}, x.data(), y.data()}, 0, 10);
      return weighted_sum(y, gy);
    };
    EXPECT_TRUE(gradient_matches(x, gx, loss)) << int(act);
  }
}

TEST(Act, DoorsAgreeAcrossThreadsTargetsAndInPlace) {
  constexpr i64 kCount = 2 * 32768 + 17;  // three chunks
  const auto x = inputs(kCount, 1), gy = inputs(kCount, 2);
  for (const Act act : kActs) {
    std::vector<float> portable, portable_g;
    for (const Target target : runnable_targets()) {
      Exec one(target, 1), two(target, 2);
      std::vector<float> y(x.size()), gx(x.size());
      activate(one, ActCall{{kCount, act}, x.data(), y.data()});
      activate_grad(one, ActGradCall{{kCount, act}, x.data(), gy.data(), gx.data()});
      auto in_place = x, g_in_place = gy;
      activate(two, ActCall{{kCount, act}, in_place.data(), in_place.data()});
      activate_grad(two, ActGradCall{{kCount, act}, x.data(), g_in_place.data(), g_in_place.data()});
      EXPECT_TRUE(same_bits<float>(in_place, y));
      EXPECT_TRUE(same_bits<float>(g_in_place, gx));
      if (target == Target::portable) portable = y, portable_g = gx;
      if (act == Act::sigmoid) continue;  // exp is fused on targets that can
      EXPECT_TRUE(same_bits<float>(y, portable));
      EXPECT_TRUE(same_bits<float>(gx, portable_g));
    }
  }
}

TEST(Act, ResultDoesNotDependOnThePosition) {
  const auto x = inputs(40, 4);
  over_rows(act_table(), [&](const auto& row) {
    for (const Act act : kActs) {
      std::vector<float> y(40), alone(40);
      row.run({{40, act}, x.data(), y.data()}, 0, 40);
      for (i64 i = 0; i < 40; ++i) row.run({{1, act}, x.data() + i, alone.data() + i}, 0, 1);
      EXPECT_TRUE(same_bits<float>(alone, y)) << int(act);
    }
  });
}

TEST(Act, DryDoorsOnlyNote) {
  Exec exec(Target::avx512, 1, true);
  Recorder recorder{.dry = true, .calls = {}};
  exec.recorder = &recorder;
  const auto* nowhere = reinterpret_cast<const float*>(64);
  auto* nowhere_out = reinterpret_cast<float*>(128);
  activate(exec, ActCall{{1000, Act::relu}, nowhere, nowhere_out});
  activate_grad(exec, ActGradCall{{1000, Act::relu}, nowhere, nowhere, nowhere_out});
  ASSERT_EQ(recorder.calls.size(), 2u);
  EXPECT_EQ(recorder.calls[0].kernel, act_table().front().name);
  EXPECT_TRUE(std::holds_alternative<ActCall>(recorder.calls[0].call));
  EXPECT_EQ(recorder.calls[0].cost, act_cost({1000, Act::relu}));
  EXPECT_TRUE(std::holds_alternative<std::monostate>(recorder.calls[1].call));
}

TEST(Act, DeclaredOperationsAreThoseOfTheReference) {
  const std::vector<Counting> x = {0.5, 1.0, 1.5, 2.0, 2.5}, gy(5, Counting(1));
  std::vector<Counting> y(5);
  for (const Act act : kActs) {
    Counting::reset();
    act_reference(ActCallT<Counting>{{5, act}, x.data(), y.data()}, 0, 5);
    EXPECT_EQ(Counting::total(), act_cost({5, act}).other_ops) << int(act);
    Counting::reset();
    act_grad_reference(ActGradCallT<Counting>{{5, act}, x.data(), gy.data(), y.data()}, 0, 5);
    EXPECT_EQ(Counting::total(), act_grad_cost({5, act}).other_ops) << int(act);
  }
}

}  // namespace
}  // namespace offramp::kernels
