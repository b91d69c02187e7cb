#include "kernels/softmax/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/recorder.h"
#include "kernels/softmax/softmax_ref.h"
#include "tests/support/bits.h"
#include "tests/support/central_difference.h"
#include "tests/support/compare.h"
#include "tests/support/counting.h"
#include "tests/support/error_kind.h"
#include "tests/support/fill.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/targets.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

constexpr double kEps = std::numeric_limits<float>::epsilon();

struct Logits {
  std::vector<float> f;
  std::vector<double> d;
  Logits(i64 count, u64 seed, float size = 5) : f(static_cast<size_t>(count)) {
    fill_reals(std::span(f), seed, -size, size);
    d.assign(f.begin(), f.end());
  }
};

std::vector<i64> labels(i64 rows, i64 classes) {
  std::vector<i64> out;
  Rng rng(11);
  for (i64 row = 0; row < rows; ++row) out.push_back(rng.below(u32(classes)));
  return out;
}

// Softmax written down once more, from its definition in double.
double softmax_of(const double* x, i64 classes, i64 j) {
  double below = 0;
  for (i64 k = 0; k < classes; ++k) below += std::exp(x[k] - x[j]);
  return 1 / below;
}

TEST(Softmax, EveryRowIsCloseToTheDefinition) {
  for (const auto& row : softmax_table()) {
    if (!cpu_supports(row.target)) continue;
    for (const bool log : {false, true})
      for (const i64 rows : {1, 3})
        for (const i64 classes : {1, 2, 3, 10, 17, 100}) {
          SCOPED_TRACE(std::string(row.name) + " classes " + std::to_string(classes));
          const Logits x(rows * classes, 1);
          GuardedBuffer<float> y(rows * classes);
          row.run({{rows, classes, log}, x.f.data(), y.data()}, 0, rows);
          std::vector<double> want;
          for (i64 i = 0; i < rows * classes; ++i) {
            const double p = softmax_of(x.d.data() + i / classes * classes, classes, i % classes);
            want.push_back(log ? std::log(p) : p);
          }
          const auto bound = [&](i64 i) { return 20 * kEps * (log ? 20 : want[size_t(i)]); };
          EXPECT_TRUE((all_close<float, double>(y.values(), want, bound)));
          EXPECT_TRUE(y.intact());
        }
  }
}

TEST(Softmax, HugeLogitsStayFinite) {
  Exec exec;
  const std::vector<float> x = {1e4f, -1e4f, 0, 1e4f, -1e4f, -1e4f, -1e4f, -1e4f};
  std::vector<float> y(8), log_y(8);
  softmax(exec, SoftmaxCall{{2, 4}, x.data(), y.data()});
  softmax(exec, SoftmaxCall{{2, 4, true}, x.data(), log_y.data()});
  EXPECT_EQ(y, (std::vector<float>{0.5f, 0, 0, 0.5f, 0.25f, 0.25f, 0.25f, 0.25f}));
  EXPECT_NEAR(log_y[0], -std::log(2), 1e-6);
  EXPECT_NEAR(log_y[1], -2e4 - std::log(2), 1e-2);
  EXPECT_NEAR(log_y[5], -std::log(4), 1e-6);
}

TEST(Softmax, GradientsMatchCentralDifferences) {
  for (const bool log : {false, true}) {
    const SoftmaxDims d{3, 5, log};
    Logits x(15, 1, 2), gy(15, 2, 1);
    std::vector<double> y(15), gx(15);
    Exec exec;
    const auto loss = [&] {
      softmax(exec, SoftmaxCallT<double>{d, x.d.data(), y.data()});
      return weighted_sum(y, gy.d);
    };
    loss();
    softmax_grad(exec, SoftmaxGradCallT<double>{d, y.data(), gy.d.data(), gx.data()});
    EXPECT_TRUE(gradient_matches(x.d, gx, loss)) << log;
    std::vector<float> y_f(y.begin(), y.end());
    GuardedBuffer<float> gx_f(15);
    loss();
    y_f.assign(y.begin(), y.end());
    softmax_grad(exec, SoftmaxGradCall{d, y_f.data(), gy.f.data(), gx_f.data()});
    EXPECT_TRUE((all_close<float, double>(gx_f.values(), gx, [](i64) { return 40 * kEps; })));
    EXPECT_TRUE(gx_f.intact());
  }
}

TEST(CrossEntropy, IsCloseToTheDefinition) {
  for (const float smoothing : {0.0f, 0.1f})
    for (const i64 rows : {1, 2, 700})
      for (const i64 classes : {1, 2, 10, 33}) {
        const Logits x(rows * classes, 3);
        const auto target = labels(rows, classes);
        double want = 0;
        std::vector<double> want_gx;
        for (i64 i = 0; i < rows * classes; ++i) {
          const i64 row = i / classes, j = i % classes;
          const double p = softmax_of(x.d.data() + row * classes, classes, j);
          const double q =
              (target[size_t(row)] == j) * (1 - double(smoothing)) + double(smoothing) / double(classes);
          want -= q * std::log(p) / double(rows);
          want_gx.push_back(0.5 * (p - q) / double(rows));
        }
        Exec exec;
        float loss = -1;
        GuardedBuffer<float> gx(rows * classes);
        cross_entropy(exec, CrossEntropyCall{rows, classes, smoothing, x.f.data(), target.data(), &loss, 0.5f,
                                             gx.data()});
        EXPECT_NEAR(loss, want, 10 * kEps * (want + 10)) << rows << "x" << classes;
        EXPECT_TRUE(
            (all_close<float, double>(gx.values(), want_gx, [&](i64) { return 20 * kEps / double(rows); })));
        EXPECT_TRUE(gx.intact());
      }
}

TEST(CrossEntropy, HugeLogits) {
  Exec exec;
  const std::vector<float> x = {1e4f, -1e4f, 0};
  std::vector<float> gx(3);
  const i64 right = 0, wrong = 1;
  float loss = -1;
  cross_entropy(exec, CrossEntropyCall{1, 3, 0, x.data(), &right, &loss, 1, gx.data()});
  EXPECT_EQ(loss, 0);
  EXPECT_EQ(gx, (std::vector<float>{0, 0, 0}));
  cross_entropy(exec, CrossEntropyCall{1, 3, 0, x.data(), &wrong, &loss, 1, gx.data()});
  EXPECT_EQ(loss, 2e4f);
  EXPECT_EQ(gx, (std::vector<float>{1, -1, 0}));
}

TEST(CrossEntropy, GradientMatchesCentralDifferences) {
  Logits x(12, 4, 2);
  const auto target = labels(3, 4);
  Exec exec;
  for (const double smoothing : {0.0, 0.2}) {
    double loss = 0;
    std::vector<double> gx(12);
    const auto run = [&](double* out) {
      cross_entropy(exec,
                    CrossEntropyCallT<double>{3, 4, smoothing, x.d.data(), target.data(), &loss, 1, out});
      return loss;
    };
    run(gx.data());
    EXPECT_TRUE(gradient_matches(x.d, gx, [&] { return run(nullptr); }));
  }
}

TEST(CrossEntropy, RefusesLabelsOutsideAndEmptyBatches) {
  Exec exec;
  const std::vector<float> x(6);
  float loss = -7;
  for (const i64 bad : {i64{-1}, i64{3}, std::numeric_limits<i64>::min()}) {
    const std::vector<i64> target = {0, bad};
    const auto thrown = thrown_by([&] {
      cross_entropy(exec, CrossEntropyCall{2, 3, 0, x.data(), target.data(), &loss, 1, nullptr});
    });
    EXPECT_EQ(thrown.kind, Error::Kind::input);
    EXPECT_NE(thrown.message.find(std::to_string(bad)), std::string::npos) << thrown.message;
    EXPECT_NE(thrown.message.find("row 1"), std::string::npos) << thrown.message;
  }
  EXPECT_EQ(kind_of([&] {
              cross_entropy(exec, CrossEntropyCall{0, 3, 0, x.data(), nullptr, &loss, 1, nullptr});
            }),
            Error::Kind::input);
  EXPECT_EQ(loss, -7);
}

TEST(KlDiv, IsCloseToTheDefinition) {
  for (const float temperature : {1.0f, 4.0f, 0.5f})
    for (const i64 rows : {1, 5, 600})
      for (const i64 classes : {1, 2, 10, 33}) {
        const Logits x(rows * classes, 5), t(rows * classes, 6);
        std::vector<double> cool_x, cool_t, want_gx;
        for (const double v : x.d) cool_x.push_back(v / double(temperature));
        for (const double v : t.d) cool_t.push_back(v / double(temperature));
        double want = 0;
        for (i64 i = 0; i < rows * classes; ++i) {
          const i64 at = i / classes * classes;
          const double p = softmax_of(cool_t.data() + at, classes, i % classes);
          const double q = softmax_of(cool_x.data() + at, classes, i % classes);
          want += double(temperature * temperature) * p * std::log(p / q) / double(rows);
          want_gx.push_back(2 * double(temperature) * (q - p) / double(rows));
        }
        Exec exec;
        float loss = -1;
        GuardedBuffer<float> gx(rows * classes);
        kl_div(exec, KlDivCall{rows, classes, temperature, x.f.data(), t.f.data(), &loss, 2, gx.data()});
        EXPECT_NEAR(loss, want, 20 * kEps * double(temperature * temperature) * 20) << rows << "x" << classes;
        EXPECT_TRUE((all_close<float, double>(
            gx.values(), want_gx, [&](i64) { return 100 * kEps * double(temperature) / double(rows); })));
        EXPECT_TRUE(gx.intact());
      }
}

TEST(KlDiv, OfEqualsIsZeroAndHugeLogitsStayFinite) {
  Exec exec;
  const std::vector<float> x = {1e4f, -1e4f, 3}, t = {-1e4f, 1e4f, 3};
  std::vector<float> gx(3);
  float loss = -1;
  kl_div(exec, KlDivCall{1, 3, 2, x.data(), x.data(), &loss, 1, gx.data()});
  EXPECT_EQ(loss, 0);
  EXPECT_EQ(gx, (std::vector<float>{0, 0, 0}));
  kl_div(exec, KlDivCall{1, 3, 2, x.data(), t.data(), &loss, 1, gx.data()});
  EXPECT_EQ(loss, 4e4f);  // 2^2 * 2e4 / 2
  EXPECT_EQ(gx, (std::vector<float>{2, -2, 0}));
}

TEST(KlDiv, GradientMatchesCentralDifferencesAndTemperatureIsChecked) {
  Logits x(12, 7, 2), t(12, 8, 2);
  Exec exec;
  for (const double temperature : {1.0, 3.0}) {
    double loss = 0;
    std::vector<double> gx(12);
    const auto run = [&](double* out) {
      kl_div(exec, KlDivCallT<double>{3, 4, temperature, x.d.data(), t.d.data(), &loss, 1, out});
      return loss;
    };
    run(gx.data());
    EXPECT_TRUE(gradient_matches(x.d, gx, [&] { return run(nullptr); }));
  }
  float loss;
  for (const float bad : {0.0f, -1.0f, std::numeric_limits<float>::quiet_NaN()})
    EXPECT_EQ(kind_of([&] {
                kl_div(exec, KlDivCall{3, 4, bad, x.f.data(), t.f.data(), &loss, 1, nullptr});
              }),
              Error::Kind::usage);
}

TEST(Softmax, SameBitsForAnyThreadsBatchAndInPlace) {
  constexpr i64 kRows = 999, kClasses = 10;
  const Logits x(kRows * kClasses, 1), t(kRows * kClasses, 2);
  const auto target = labels(kRows, kClasses);
  for (const Target cpu : runnable_targets()) {
    Exec one(cpu, 1), two(cpu, 2);
    for (const bool log : {false, true}) {
      std::vector<float> y(x.f.size()), in_place = x.f, alone(x.f.size());
      softmax(one, SoftmaxCall{{kRows, kClasses, log}, x.f.data(), y.data()});
      softmax(two, SoftmaxCall{{kRows, kClasses, log}, in_place.data(), in_place.data()});
      EXPECT_TRUE(same_bits<float>(in_place, y));
      for (i64 i = 0; i < kRows * kClasses; i += kClasses)
        softmax(one, SoftmaxCall{{1, kClasses, log}, x.f.data() + i, alone.data() + i});
      EXPECT_TRUE(same_bits<float>(alone, y));
    }
    std::vector<float> gx1(x.f.size()), gx2(x.f.size());
    float a = 0, b = 1;
    cross_entropy(one, CrossEntropyCall{kRows, kClasses, 0.1f, x.f.data(), target.data(), &a, 1, gx1.data()});
    cross_entropy(two, CrossEntropyCall{kRows, kClasses, 0.1f, x.f.data(), target.data(), &b, 1, gx2.data()});
    EXPECT_EQ(a, b);
    EXPECT_TRUE(same_bits<float>(gx1, gx2));
    kl_div(one, KlDivCall{kRows, kClasses, 2, x.f.data(), t.f.data(), &a, 1, gx1.data()});
    kl_div(two, KlDivCall{kRows, kClasses, 2, x.f.data(), t.f.data(), &b, 1, gx2.data()});
    EXPECT_EQ(a, b);
    EXPECT_TRUE(same_bits<float>(gx1, gx2));
  }
}

TEST(Softmax, DeclaredOperationsAreThoseOfTheReference) {
  for (const bool log : {false, true}) {
    const SoftmaxDims d{2, 5, log};
    std::vector<Counting> x(10, Counting(1)), y(10), gx(10);
    Counting::reset();
    softmax_reference(SoftmaxCallT<Counting>{d, x.data(), y.data()}, 0, 2);
    EXPECT_EQ(Counting::total(), softmax_cost(d).other_ops);
    Counting::reset();
    softmax_grad_reference(SoftmaxGradCallT<Counting>{d, y.data(), x.data(), gx.data()}, 0, 2);
    EXPECT_EQ(Counting::total(), softmax_grad_cost(d).other_ops);
  }
}

TEST(Softmax, DryDoorsOnlyNote) {
  Exec exec(Target::portable);
  Recorder recorder{.dry = true, .calls = {}};
  exec.recorder = &recorder;
  const auto* in = reinterpret_cast<const float*>(64);
  auto* out = reinterpret_cast<float*>(128);
  softmax(exec, SoftmaxCall{{2, 10}, in, out});
  softmax_grad(exec, SoftmaxGradCall{{2, 10}, in, in, out});
  cross_entropy(exec, CrossEntropyCall{2, 10, 0, in, reinterpret_cast<const i64*>(64), out, 1, out});
  kl_div(exec, KlDivCall{2, 10, 1, in, in, out, 1, out});
  ASSERT_EQ(recorder.calls.size(), 4u);
  EXPECT_EQ(std::get<SoftmaxCall>(recorder.calls[0].call).dims, (SoftmaxDims{2, 10}));
  EXPECT_EQ(recorder.calls[2].kernel, "cross_entropy/any/portable");
  EXPECT_EQ(recorder.calls[3].cost, kl_div_cost(2, 10));
}

}  // namespace
}  // namespace offramp::kernels
