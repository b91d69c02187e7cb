#include "kernels/norm/norm.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "kernels/norm/norm_ref.h"
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
constexpr double kEps = std::numeric_limits<float>::epsilon();
constexpr float kVarEps = 1e-5f;

// Values of one problem in float, and the same values in double.
struct Values {
  std::vector<float> f;
  std::vector<double> d;
  Values(i64 count, u64 seed, float low, float high) : f(static_cast<size_t>(count)) {
    fill_reals(std::span(f), seed, low, high);
    d.assign(f.begin(), f.end());
  }
};

struct Problem {
  NormDims dims;
  Act act;
  Values x, gy, gamma, beta, mean, var;

  // x uniform in [centre - half, centre + half]; mean and var are near those of x.
  Problem(NormDims d, Act a, float centre = 0, float half = 2)
      : dims(d),
        act(a),
        x(d.rows * d.c, 1, centre - half, centre + half),
        gy(d.rows * d.c, 2, -1, 1),
        gamma(d.c, 3, 0.5f, 1.5f),
        beta(d.c, 4, -0.5f, 1.5f),
        mean(d.c, 5, centre - half / 4, centre + half / 4),
        var(d.c, 6, half * half / 4, half * half / 2) {}

  double scale(i64 ch) const { return gamma.d[size_t(ch)] / std::sqrt(var.d[size_t(ch)] + double(kVarEps)); }
};

std::string text(const NormDims& d, Act act) {
  return "[" + std::to_string(d.rows) + "," + std::to_string(d.c) + "] act " + std::to_string(int(act));
}

// Channel counts around every vector width; rows around the groups of four and the chunk (at most 1024 rows).
std::vector<NormDims> shapes() {
  std::vector<NormDims> out;
  for (i64 c = 1; c <= 33; ++c) out.push_back({7, c});
  for (const i64 rows : {1, 2, 3, 4, 5, 8, 1023, 1025, 2051}) out.push_back({rows, 9});
  for (const i64 c : {47, 63, 64, 65, 127, 131}) out.push_back({67, c});
  return out;
}

TEST(Norm, EveryTargetIsCloseToDouble) {
  for (const Target target : runnable_targets())
    for (const NormDims& d : shapes())
      for (const Act act : kActs)
        for (const float centre : {0.0f, 3.0f}) {  // signed; all positive
          SCOPED_TRACE(std::string(target_name(target)) + " " + text(d, act));
          const Problem p(d, act, centre);
          Exec exec(target);
          GuardedBuffer<float> y(d.rows * d.c, d.c % 3);
          norm(exec, NormCall{d, p.x.f.data(), p.mean.f.data(), p.var.f.data(), p.gamma.f.data(),
                              p.beta.f.data(), kVarEps, act, y.data()});
          std::vector<double> want(p.x.d.size());
          norm_reference(NormCallT<double>{d, p.x.d.data(), p.mean.d.data(), p.var.d.data(), p.gamma.d.data(),
                                           p.beta.d.data(), double(kVarEps), act, want.data()});
          // The steepest activation has slope 1.5; each of six operations rounds a value of at most this
          // size.
          const auto bound = [&](i64 i) {
            const i64 ch = i % d.c;
            const double size = std::fabs((p.x.d[size_t(i)] - p.mean.d[size_t(ch)]) * p.scale(ch));
            return 1.5 * 6 * kEps * (size + std::fabs(p.beta.d[size_t(ch)]) + 1);
          };
          ASSERT_TRUE((all_close<float, double>(y.values(), want, bound)));
          ASSERT_TRUE(y.intact());
        }
}

// gamma / sqrt(var + eps) = 1 and integers everywhere: every operation is exact.
TEST(Norm, IntegersAreExact) {
  for (const Target target : runnable_targets())
    for (const NormDims& d : shapes())
      for (const Act act : {Act::none, Act::relu, Act::relu6}) {
        std::vector<float> x(size_t(d.rows * d.c)), mean(size_t(d.c)), beta(mean), var(mean.size(), 0.75f);
        const std::vector<float> gamma(mean.size(), 1);
        fill_integers(std::span(x), 1, 20), fill_integers(std::span(mean), 2, 5),
            fill_integers(std::span(beta), 3, 5);
        Exec exec(target);
        GuardedBuffer<float> y(d.rows * d.c);
        norm(exec,
             NormCall{d, x.data(), mean.data(), var.data(), gamma.data(), beta.data(), 0.25f, act, y.data()});
        for (i64 i = 0; i < d.rows * d.c; ++i) {
          const size_t ch = size_t(i % d.c);
          ASSERT_EQ(y.data()[i], apply_act(act, x[size_t(i)] - mean[ch] + beta[ch]))
              << target_name(target) << text(d, act) << " element " << i;
        }
        ASSERT_TRUE(y.intact());
      }
}

TEST(NormTrain, StatisticsAreExactOnIntegers) {
  for (const Target target : runnable_targets())
    for (const NormDims& d : shapes()) {
      std::vector<float> x(size_t(d.rows * d.c)), y(x.size());
      fill_integers(std::span(x), 1, 20);
      const std::vector<float> gamma(size_t(d.c), 1), beta(size_t(d.c), 0);
      GuardedBuffer<float> mean(d.c), var(d.c);
      Exec exec(target);
      norm_train(exec, NormTrainCall{d, x.data(), gamma.data(), beta.data(), kVarEps, Act::none, mean.data(),
                                     var.data(), y.data()});
      for (i64 ch = 0; ch < d.c; ++ch) {
        i64 sum = 0, squares = 0;
        for (i64 i = ch; i < d.rows * d.c; i += d.c)
          sum += i64(x[size_t(i)]), squares += i64(x[size_t(i)] * x[size_t(i)]);
        // Sums are whole numbers; what is left are a few roundings in double and one to float.
        const double want_mean = double(sum) / double(d.rows);
        const double want_var = double(squares * d.rows - sum * sum) / double(d.rows * d.rows);
        EXPECT_NEAR(mean.data()[ch], want_mean, kEps * (std::fabs(want_mean) + 1e-6)) << text(d, Act::none);
        EXPECT_NEAR(var.data()[ch], want_var, kEps * (want_var + 1e-6)) << text(d, Act::none);
      }
      EXPECT_TRUE(mean.intact());
      EXPECT_TRUE(var.intact());
    }
}

TEST(NormTrain, EveryTargetIsCloseToDouble) {
  struct Range {
    float centre, half;
  };
  for (const Target target : runnable_targets())
    for (const NormDims& d : shapes())
      for (const Range r : {Range{0, 2}, Range{3, 2}, Range{1000, 0.25f}, Range{-1e4f, 2}}) {
        SCOPED_TRACE(std::string(target_name(target)) + " " + text(d, Act::relu) + " centre " +
                     std::to_string(r.centre));
        const Problem p(d, Act::relu, r.centre, r.half);
        Exec exec(target);
        GuardedBuffer<float> y(d.rows * d.c), mean(d.c), var(d.c);
        norm_train(exec, NormTrainCall{d, p.x.f.data(), p.gamma.f.data(), p.beta.f.data(), kVarEps, Act::relu,
                                       mean.data(), var.data(), y.data()});
        std::vector<double> want(p.x.d.size()), want_mean(size_t(d.c)), want_var(size_t(d.c));
        norm_train_reference(NormTrainCallT<double>{d, p.x.d.data(), p.gamma.d.data(), p.beta.d.data(),
                                                    double(kVarEps), Act::relu, want_mean.data(),
                                                    want_var.data(), want.data()});
        const auto mean_bound = [&](i64 ch) {
          return kEps * std::fabs(want_mean[size_t(ch)]) + 20 * kEps * r.half;
        };
        const double var_error = 40 * kEps;  // relative; squares about a first row up to two half-widths away
        ASSERT_TRUE((all_close<float, double>(mean.values(), want_mean, mean_bound)));
        ASSERT_TRUE((all_close<float, double>(var.values(), want_var, [&](i64 ch) {
          return var_error * (want_var[size_t(ch)] + r.half * r.half);
        })));
        ASSERT_TRUE((all_close<float, double>(y.values(), want, [&](i64 i) {
          const i64 ch = i % d.c;
          const double sigma = std::sqrt(want_var[size_t(ch)] + double(kVarEps));
          const double scale = p.gamma.d[size_t(ch)] / sigma;
          const double size = std::fabs(p.x.d[size_t(i)] - want_mean[size_t(ch)]) * scale;
          const double relative = var_error * (want_var[size_t(ch)] + r.half * r.half) / (sigma * sigma);
          return scale * mean_bound(ch) + size * relative + 8 * kEps * (size + 2);
        })));
        ASSERT_TRUE(y.intact() && mean.intact() && var.intact());
      }
}

TEST(NormTrain, ConstantChannelsHaveNoVariance) {
  for (const Target target : runnable_targets())
    for (const i64 rows : {1, 5, 3000}) {
      const NormDims d{rows, 5};
      const std::vector<float> x(size_t(rows * 5), 123.456f), gamma(5, 2), beta(5, 0.5f);
      std::vector<float> y(x.size()), mean(5), var(5);
      Exec exec(target);
      norm_train(exec, NormTrainCall{d, x.data(), gamma.data(), beta.data(), kVarEps, Act::none, mean.data(),
                                     var.data(), y.data()});
      for (const float v : mean) EXPECT_EQ(v, 123.456f);
      for (const float v : var) EXPECT_EQ(v, 0.0f);
      for (const float v : y) EXPECT_EQ(v, 0.5f);
    }
}

TEST(NormGrad, EveryTargetIsCloseToDouble) {
  for (const Target target : runnable_targets())
    for (const NormDims& d : shapes())
      for (const Act act : kActs)
        for (const bool batch_statistics : {true, false}) {
          SCOPED_TRACE(std::string(target_name(target)) + " " + text(d, act));
          const Problem p(d, act, batch_statistics ? 3.0f : 0.0f);
          Exec exec(target);
          GuardedBuffer<float> gx(d.rows * d.c, d.c % 3), ggamma(d.c), gbeta(d.c);
          norm_grad(exec, NormGradCall{d, p.x.f.data(), p.gy.f.data(), p.mean.f.data(), p.var.f.data(),
                                       p.gamma.f.data(), p.beta.f.data(), kVarEps, act, batch_statistics,
                                       gx.data(), ggamma.data(), gbeta.data()});
          std::vector<double> want(p.x.d.size()), want_ggamma(size_t(d.c)), want_gbeta(size_t(d.c));
          norm_grad_reference(NormGradCallT<double>{d, p.x.d.data(), p.gy.d.data(), p.mean.d.data(),
                                                    p.var.d.data(), p.gamma.d.data(), p.beta.d.data(),
                                                    double(kVarEps), act, batch_statistics, want.data(),
                                                    want_ggamma.data(), want_gbeta.data()});
          // |dz| <= 1.5, |d / sigma| <= 3.6 and |scale| <= 1.5 by construction of the problem. Each dz is off
          // by a few roundings, sums by sqrt(rows) of them.
          const double sum_size = double(d.rows) * 1.5, n = std::sqrt(double(d.rows));
          const double beta_bound = 10 * kEps * 1.5 * (double(d.rows) / n + n) + 4 * kEps * sum_size / n;
          ASSERT_TRUE(
              (all_close<float, double>(gbeta.values(), want_gbeta, [&](i64) { return beta_bound; })));
          ASSERT_TRUE((
              all_close<float, double>(ggamma.values(), want_ggamma, [&](i64) { return 3.6 * beta_bound; })));
          const double gx_bound =
              1.5 * (12 * kEps * 1.5 + (1 + 3.6 * 3.6) * beta_bound / double(d.rows) + 40 * kEps);
          ASSERT_TRUE((all_close<float, double>(gx.values(), want, [&](i64) { return gx_bound; })));
          ASSERT_TRUE(gx.intact() && ggamma.intact() && gbeta.intact());
        }
}

TEST(NormGrad, GivesOnlyWhatIsWanted) {
  const NormDims d{70, 19};
  const Problem p(d, Act::hard_swish);
  for (const Target target : runnable_targets())
    for (const bool batch_statistics : {true, false}) {
      Exec exec(target);
      std::vector<float> gx(p.x.f.size()), ggamma(19), gbeta(19);
      NormGradCall call{d,
                        p.x.f.data(),
                        p.gy.f.data(),
                        p.mean.f.data(),
                        p.var.f.data(),
                        p.gamma.f.data(),
                        p.beta.f.data(),
                        kVarEps,
                        Act::hard_swish,
                        batch_statistics,
                        gx.data(),
                        ggamma.data(),
                        gbeta.data()};
      norm_grad(exec, call);
      for (int wanted = 0; wanted < 8; ++wanted) {
        GuardedBuffer<float> x(d.rows * d.c), gamma(d.c), beta(d.c);
        call.gx = wanted & 1 ? x.data() : nullptr;
        call.ggamma = wanted & 2 ? gamma.data() : nullptr;
        call.gbeta = wanted & 4 ? beta.data() : nullptr;
        norm_grad(exec, call);
        if (wanted & 1) {
          EXPECT_TRUE(same_bits<float>(x.values(), gx));
        }
        if (wanted & 2) {
          EXPECT_TRUE(same_bits<float>(gamma.values(), ggamma));
        }
        if (wanted & 4) {
          EXPECT_TRUE(same_bits<float>(beta.values(), gbeta));
        }
      }
    }
}

TEST(Norm, DoorsAgreeAcrossThreadsTargetsAndInPlace) {
  for (const NormDims& d : {NormDims{2051, 33}, NormDims{300, 7}, NormDims{131, 200}})
    for (const Act act : kActs) {
      SCOPED_TRACE(text(d, act));
      const Problem p(d, act, 3);
      struct Results {
        std::vector<float> y, mean, var, trained, gx, ggamma, gbeta;
      };
      const auto run = [&](Target target, int threads, bool in_place) {
        Exec exec(target, threads);
        const std::vector<float> per_channel(size_t(d.c));
        Results r{p.x.f, per_channel, per_channel, p.x.f, p.gy.f, per_channel, per_channel};
        const float* x = in_place ? nullptr : p.x.f.data();
        const float* gy = in_place ? r.gx.data() : p.gy.f.data();
        norm(exec, NormCall{d, x ? x : r.y.data(), p.mean.f.data(), p.var.f.data(), p.gamma.f.data(),
                            p.beta.f.data(), kVarEps, act, r.y.data()});
        norm_train(exec, NormTrainCall{d, x ? x : r.trained.data(), p.gamma.f.data(), p.beta.f.data(),
                                       kVarEps, act, r.mean.data(), r.var.data(), r.trained.data()});
        norm_grad(exec, NormGradCall{d, p.x.f.data(), gy, p.mean.f.data(), p.var.f.data(), p.gamma.f.data(),
                                     p.beta.f.data(), kVarEps, act, true, r.gx.data(), r.ggamma.data(),
                                     r.gbeta.data()});
        return r;
      };
      const auto expect_same = [](const Results& a, const Results& b) {
        EXPECT_TRUE(same_bits<float>(a.y, b.y));
        EXPECT_TRUE(same_bits<float>(a.mean, b.mean));
        EXPECT_TRUE(same_bits<float>(a.var, b.var));
        EXPECT_TRUE(same_bits<float>(a.trained, b.trained));
        EXPECT_TRUE(same_bits<float>(a.gx, b.gx));
        EXPECT_TRUE(same_bits<float>(a.ggamma, b.ggamma));
        EXPECT_TRUE(same_bits<float>(a.gbeta, b.gbeta));
      };
      const Results portable = run(Target::portable, 1, false);
      for (const Target target : runnable_targets()) {
        const Results one = run(target, 1, false);
        expect_same(run(target, 2, true), one);
        if (act != Act::sigmoid) expect_same(one, portable);  // exp is fused on targets that can
      }
    }
}

TEST(Norm, ResultDoesNotDependOnTheBatch) {
  const NormDims d{1100, 19};
  for (const Act act : kActs) {
    const Problem p(d, act);
    for (const Target target : runnable_targets()) {
      Exec exec(target);
      std::vector<float> all(p.x.f.size()), alone(all.size());
      NormCall call{d,       p.x.f.data(), p.mean.f.data(), p.var.f.data(), p.gamma.f.data(), p.beta.f.data(),
                    kVarEps, act,          all.data()};
      norm(exec, call);
      call.dims.rows = 1;
      for (i64 row = 0; row < d.rows; ++row) {
        call.x = p.x.f.data() + row * d.c, call.y = alone.data() + row * d.c;
        norm(exec, call);
      }
      EXPECT_TRUE(same_bits<float>(alone, all));
    }
  }
}

TEST(NormGrad, ReferenceMatchesCentralDifferences) {
  const NormDims d{6, 3};
  for (const Act act : kActs)
    for (const bool batch_statistics : {true, false}) {
      Problem p(d, act);
      std::vector<double> y(18), gx(18), ggamma(3), gbeta(3), mean = p.mean.d, var = p.var.d;
      const auto loss = [&] {
        if (batch_statistics)
          norm_train_reference(NormTrainCallT<double>{d, p.x.d.data(), p.gamma.d.data(), p.beta.d.data(),
                                                      1e-5, act, mean.data(), var.data(), y.data()});
        else
          norm_reference(NormCallT<double>{d, p.x.d.data(), mean.data(), var.data(), p.gamma.d.data(),
                                           p.beta.d.data(), 1e-5, act, y.data()});
        return weighted_sum(y, p.gy.d);
      };
      loss();
      norm_grad_reference(NormGradCallT<double>{d, p.x.d.data(), p.gy.d.data(), mean.data(), var.data(),
                                                p.gamma.d.data(), p.beta.d.data(), 1e-5, act,
                                                batch_statistics, gx.data(), ggamma.data(), gbeta.data()});
      SCOPED_TRACE(text(d, act));
      EXPECT_TRUE(gradient_matches(p.x.d, gx, loss));
      EXPECT_TRUE(gradient_matches(p.gamma.d, ggamma, loss));
      EXPECT_TRUE(gradient_matches(p.beta.d, gbeta, loss));
    }
}

TEST(Norm, DeclaredOperationsAreThoseOfTheReference) {
  const NormDims d{4, 3};
  // Inputs of the activation lie in (0, 3): both comparisons of a clamp are made.
  std::vector<Counting> x(12), gy(12, Counting(1)), y(12), gamma(3, Counting(0.5)), beta(3, Counting(1.5));
  for (size_t i = 0; i < x.size(); ++i) x[i] = double(i % 4);
  std::vector<Counting> mean(3), var(3), ggamma(3), gbeta(3);
  for (const Act act : kActs) {
    Counting::reset();
    norm_train_reference(NormTrainCallT<Counting>{d, x.data(), gamma.data(), beta.data(), 1e-5, act,
                                                  mean.data(), var.data(), y.data()});
    EXPECT_EQ(Counting::total(), norm_train_cost(d, act).other_ops) << int(act);
    Counting::reset();
    norm_reference(NormCallT<Counting>{d, x.data(), mean.data(), var.data(), gamma.data(), beta.data(), 1e-5,
                                       act, y.data()});
    EXPECT_EQ(Counting::total(), norm_cost(d, act).other_ops) << int(act);
    Counting::reset();
    norm_grad_reference(NormGradCallT<Counting>{d, x.data(), gy.data(), mean.data(), var.data(), gamma.data(),
                                                beta.data(), 1e-5, act, true, y.data(), ggamma.data(),
                                                gbeta.data()});
    EXPECT_EQ(Counting::total(), norm_grad_cost(d, act).other_ops) << int(act);
  }
}

TEST(Norm, DryDoorsOnlyNote) {
  Exec exec(Target::portable);
  Recorder recorder{.dry = true, .calls = {}};
  exec.recorder = &recorder;
  const auto* in = reinterpret_cast<const float*>(64);
  auto* out = reinterpret_cast<float*>(128);
  const NormDims d{10, 8};
  norm(exec, NormCall{d, in, in, in, in, in, kVarEps, Act::relu, out});
  norm_train(exec, NormTrainCall{d, in, in, in, kVarEps, Act::relu, out, out, out});
  norm_grad(exec, NormGradCall{d, in, in, in, in, in, in, kVarEps, Act::relu, true, out, out, out});
  ASSERT_EQ(recorder.calls.size(), 3u);
  EXPECT_EQ(recorder.calls[0].kernel, "norm/any/portable");
  EXPECT_EQ(std::get<NormCall>(recorder.calls[0].call).dims, d);
  EXPECT_EQ(recorder.calls[1].kernel, "norm_train/any/portable");
  EXPECT_EQ(recorder.calls[2].kernel, "norm_grad/any/portable");
  EXPECT_EQ(recorder.total(),
            norm_cost(d, Act::relu) + norm_train_cost(d, Act::relu) + norm_grad_cost(d, Act::relu));
}

}  // namespace
}  // namespace offramp::kernels
