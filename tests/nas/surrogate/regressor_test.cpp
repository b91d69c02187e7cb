// What every model has in common, and what is particular to one.
#include "nas/surrogate/regressor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "kernels/error.h"
#include "nas/surrogate/adaptive.h"
#include "nas/surrogate/gaussian_process.h"
#include "nas/surrogate/kendall.h"
#include "nas/surrogate/mlp.h"
#include "nas/surrogate/rbf.h"
#include "nas/surrogate/surrogate.h"
#include "nas/surrogate/tree_ensemble.h"
#include "tests/nas/surrogate/samples.h"
#include "tests/support/bits.h"
#include "tests/support/error_kind.h"

namespace offramp::nas {
namespace {

using offramp::testing::kind_of;

constexpr i64 kQuickEpochs = 20;

std::vector<double> fit_and_ask(Exec& exec, const std::string& kind, u64 seed = 1) {
  const Matrix x = random_inputs(60, 12, 1), other = random_inputs(25, 12, 2);
  const auto model = make_regressor(kind, seed, kQuickEpochs);
  model->fit(exec, x, smooth_values(x, 0.1, 1));
  std::vector<double> out;
  for (const Estimate& e : model->predict(exec, other)) {
    out.push_back(e.mean);
    if (!std::isnan(e.spread)) out.push_back(e.spread);
  }
  return out;
}

TEST(Regressor, SameBitsForAnyNumberOfThreads) {
  for (const std::string& kind : surrogate_kinds()) {
    Exec one(default_target(), 1), two(default_target(), 2);
    EXPECT_EQ(fit_and_ask(one, kind), fit_and_ask(two, kind)) << kind;
  }
}

TEST(Regressor, SeedsMatterToWhatIsDrawnAtRandom) {
  Exec exec;
  for (const char* kind : {"carts", "mlp"}) EXPECT_NE(fit_and_ask(exec, kind, 1), fit_and_ask(exec, kind, 2));
  for (const char* kind : {"rbf", "gp"}) EXPECT_EQ(fit_and_ask(exec, kind, 1), fit_and_ask(exec, kind, 2));
}

TEST(Regressor, OrdersWhatItHasNotSeen) {
  Exec exec;
  const Matrix x = random_inputs(200, 30, 5), other = random_inputs(100, 30, 6);
  const std::vector<double> truth = smooth_values(other, 0, 0);
  for (const auto& [kind, least] : std::vector<std::pair<std::string, double>>{
           {"rbf", 0.8}, {"gp", 0.8}, {"carts", 0.6}, {"mlp", 0.7}, {"as", 0.8}}) {
    const auto model = make_regressor(kind, 1, 300);
    model->fit(exec, x, smooth_values(x, 0.2, 5));
    EXPECT_GT(rank_agreement(means(model->predict(exec, other, false)), truth).tau(), least) << kind;
  }
}

// Fewer samples than inputs, inputs that never vary, values that are all equal, samples given twice.
TEST(Regressor, CopesWithPoorSamples) {
  Exec exec;
  Matrix x = random_inputs(12, 30, 3);
  for (i64 i = 0; i < x.rows; ++i) x.at(i, 4) = 0.5;
  std::copy(x.row(0), x.row(0) + x.cols, x.row(1));
  const std::vector<double> equal(12, 7.0), values = smooth_values(x, 0.3, 3);
  for (const std::string& kind : surrogate_kinds()) {
    const auto model = make_regressor(kind, 1, kQuickEpochs);
    model->fit(exec, x, values);
    for (const Estimate& e : model->predict(exec, random_inputs(5, 30, 4)))
      EXPECT_TRUE(std::isfinite(e.mean) && std::abs(e.mean) < 100) << kind << " " << e.mean;
    model->fit(exec, x, equal);
    if (kind == "mlp") continue;  // comes near it
    for (const Estimate& e : model->predict(exec, random_inputs(5, 30, 4)))
      EXPECT_NEAR(e.mean, 7, 1e-6) << kind;
  }
}

TEST(Regressor, RefusesWhatItCannotLearnFrom) {
  Exec exec;
  const Matrix x = random_inputs(4, 3, 1);
  for (const std::string& kind : surrogate_kinds()) {
    const auto model = make_regressor(kind, 1, kQuickEpochs);
    EXPECT_THROW(model->predict(exec, x), Error) << kind;
    EXPECT_THROW(model->fit(exec, x, std::vector<double>{1, 2, 3}), Error) << kind;
    EXPECT_THROW(model->fit(exec, x, std::vector<double>{1, 2, 3, std::nan("")}), Error) << kind;
    EXPECT_THROW(model->fit(exec, random_inputs(1, 3, 1), std::vector<double>{1}), Error) << kind;
    model->fit(exec, x, std::vector<double>{1, 2, 3, 4});
    EXPECT_THROW(model->predict(exec, random_inputs(4, 2, 1)), Error) << kind;
    EXPECT_TRUE(model->predict(exec, Matrix(0, 3)).empty()) << kind;
  }
  EXPECT_THROW(make_regressor("rbff", 1), Error);
  EXPECT_THROW(TreeEnsemble({.trees = 0}), Error);
  EXPECT_THROW(TreeEnsemble({.inputs_percent = 101}), Error);
  EXPECT_THROW(GaussianProcess({.theta = 1e3}), Error);
  EXPECT_THROW(GaussianProcess({.nugget = 0}), Error);
  EXPECT_THROW(Mlp({.dropout = 1}), Error);
  EXPECT_THROW(Adaptive({}, {}), Error);
}

TEST(Rbf, GoesThroughItsSamplesAndIsExactOnPlanes) {
  Exec exec;
  Rbf rbf({.smoothing = 0});
  const Matrix x = random_inputs(80, 8, 9, 5), other = random_inputs(10, 8, 10, 5);
  const std::vector<double> y = smooth_values(x, 1, 9);
  rbf.fit(exec, x, y);
  const std::vector<Estimate> at_samples = rbf.predict(exec, x);
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(at_samples[i].mean, y[i], 1e-8);

  const auto plane = [](const Matrix& m, i64 i) { return 3 + m.at(i, 0) - 2 * m.at(i, 7); };
  std::vector<double> flat;
  for (i64 i = 0; i < x.rows; ++i) flat.push_back(plane(x, i));
  rbf.fit(exec, x, flat);
  const std::vector<Estimate> got = rbf.predict(exec, other);
  for (i64 i = 0; i < other.rows; ++i) EXPECT_NEAR(got[std::size_t(i)].mean, plane(other, i), 1e-7);
}

TEST(GaussianProcess, IsSureAtItsSamplesAndUnsureFarAway) {
  Exec exec;
  GaussianProcess gp({.theta = 0.1, .nugget = 1e-8});
  Matrix x(9, 1);
  std::vector<double> y;
  for (i64 i = 0; i < 9; ++i) x.at(i, 0) = double(i), y.push_back(std::sin(double(i)));
  gp.fit(exec, x, y);
  Matrix far(2, 1);
  far.values = {1000, 2000};
  const auto away = gp.predict(exec, far);
  EXPECT_GT(away[0].spread, 0.1);
  for (const Estimate& e : gp.predict(exec, x)) EXPECT_LT(e.spread, 1e-3 * away[0].spread);
  EXPECT_NEAR(away[0].spread, away[1].spread, 0.05 * away[1].spread);
}

TEST(GaussianProcess, FindsTheNoise) {
  Exec exec;
  GaussianProcess gp;
  const Matrix x = random_inputs(150, 6, 3, 7);
  gp.fit(exec, x, smooth_values(x, 0, 3));
  const double clean = gp.nugget();
  gp.fit(exec, x, smooth_values(x, 2, 3));
  EXPECT_LT(clean, 1e-3);
  EXPECT_GT(gp.nugget(), 100 * clean);
}

TEST(TreeEnsemble, TreesSeeOnlyTheirPartOfTheInputs) {
  Exec exec;
  // Only input 3 matters: trees that do not see it can say nothing, so the spread is large.
  Matrix x = random_inputs(60, 10, 8);
  std::vector<double> y;
  for (i64 i = 0; i < x.rows; ++i) y.push_back(10 * x.at(i, 3));
  TreeEnsemble all({.trees = 50, .inputs_percent = 100}), some({.trees = 50, .inputs_percent = 20});
  all.fit(exec, x, y);
  some.fit(exec, x, y);
  const Matrix other = random_inputs(20, 10, 9);
  for (const Estimate& e : all.predict(exec, other)) EXPECT_EQ(e.spread, 0);
  for (const Estimate& e : some.predict(exec, other)) EXPECT_GT(e.spread, 0.5);
}

TEST(Mlp, KeepsTheWeightsThatDidBestOnTheHeldBackPart) {
  Exec exec;
  const Matrix x = random_inputs(50, 10, 4);
  const std::vector<double> y = smooth_values(x, 2, 4);  // mostly noise: long training overfits
  MlpOptions options{.width = 64, .epochs = 400, .lr = 3e-3, .dropout = 0, .seed = 3};
  Mlp whole(options);
  whole.fit(exec, x, y);
  EXPECT_LT(whole.best_epoch(), 399);
  // The learning rate follows the number of epochs, so a shorter run is another one; yet none may report a
  // loss above that of its own first epoch.
  options.epochs = 1;
  Mlp first(options);
  first.fit(exec, x, y);
  EXPECT_EQ(first.best_epoch(), 0);
  EXPECT_LT(whole.held_back_loss(), first.held_back_loss());
}

// Enough work for minutes, each with its own loop.
TEST(Regressor, AFitStopsWhenAskedTo) {
  const Matrix x = random_inputs(700, 12, 1);
  const std::vector<double> y = smooth_values(x, 0.1, 1);
  std::vector<std::unique_ptr<Regressor>> models;
  models.push_back(make_regressor("mlp", 1, i64{1} << 40));
  models.push_back(std::make_unique<TreeEnsemble>(TreeEnsembleOptions{.trees = 1 << 21}));
  models.push_back(std::make_unique<GaussianProcess>());
  models.push_back(make_regressor("as", 1));
  for (const auto& model : models)
    for (int threads : {1, 2}) {
      Exec exec(default_target(), threads);
      std::atomic<bool> stop{false};
      Watch watch;
      watch.stop = &stop;
      std::thread user([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        stop = true;
      });
      EXPECT_EQ(kind_of([&] { model->fit(exec, x, y, watch); }), Error::Kind::interrupted) << model->name();
      user.join();
      EXPECT_THROW(model->predict(exec, x), Error) << "half a fit answers";
    }
}

// A model that is interrupted is no model that cannot be fitted.
TEST(Adaptive, AnInterruptedFoldIsNoBadFold) {
  static std::atomic<bool> stop;
  class Interrupts : public Rbf {
    void learn(Exec&, const Matrix&, std::span<const double>, const Watch& watch) override {
      stop = true;
      watch.check();
    }
  };
  const Matrix x = random_inputs(20, 3, 1);
  Watch watch;
  watch.stop = &stop;
  for (int threads : {1, 2}) {
    stop = false;
    Exec exec(default_target(), threads);
    EXPECT_EQ(kind_of([&] {
                cross_validate(exec, {[] { return std::make_unique<Interrupts>(); }}, x,
                               smooth_values(x, 0, 1), 4, 1, watch);
              }),
              Error::Kind::interrupted);
  }
}

TEST(Adaptive, ChoosesByMeanMinusDeviationOfTau) {
  Exec exec;
  // Knows nothing.
  class Constant : public Regressor {
   public:
    std::string_view name() const override { return "constant"; }

   private:
    void learn(Exec&, const Matrix&, std::span<const double>, const Watch&) override {}
    std::vector<Estimate> answer(Exec&, const Matrix& x, bool) const override {
      return std::vector<Estimate>(std::size_t(x.rows), Estimate{1, 0});
    }
  };
  class Broken : public Constant {
    std::string_view name() const override { return "broken"; }
    void learn(Exec&, const Matrix&, std::span<const double>, const Watch&) override {
      throw Error("broken");
    }
  };
  Adaptive as({[] { return std::make_unique<Constant>(); }, [] { return std::make_unique<Rbf>(); },
               [] { return std::make_unique<Broken>(); }});
  const Matrix x = random_inputs(100, 8, 4);
  as.fit(exec, x, smooth_values(x, 0.1, 4));
  EXPECT_EQ(as.chosen().name(), "rbf");
  ASSERT_EQ(as.validation().size(), 3u);
  for (const CrossValidation& v : as.validation()) EXPECT_EQ(v.taus.size(), 10u);
  EXPECT_EQ(as.validation()[0].score(), 0);
  EXPECT_GT(as.validation()[1].score(), 0.5);
  EXPECT_EQ(as.validation()[2].score(), 0);
  EXPECT_EQ((CrossValidation{"", {0.5, 0.9}}).score(), 0.7 - 0.2);
}

TEST(Adaptive, FoldsHoldBackEverySampleOnce) {
  Exec exec;
  // Remembers which samples it was fitted to: input 0 is the sample's number.
  static std::vector<std::vector<double>> fitted;
  class Spy : public Regressor {
   public:
    std::string_view name() const override { return "spy"; }

   private:
    void learn(Exec&, const Matrix& x, std::span<const double>, const Watch&) override {
      fitted.emplace_back();
      for (i64 i = 0; i < x.rows; ++i) fitted.back().push_back(x.at(i, 0));
    }
    std::vector<Estimate> answer(Exec&, const Matrix& x, bool) const override {
      return std::vector<Estimate>(std::size_t(x.rows), Estimate{});
    }
  };
  fitted.clear();
  Matrix x(23, 1);
  std::vector<double> y;
  for (i64 i = 0; i < 23; ++i) x.at(i, 0) = double(i), y.push_back(double(i));
  cross_validate(exec, {[] { return std::make_unique<Spy>(); }}, x, y, 5, 1);
  ASSERT_EQ(fitted.size(), 5u);
  std::vector<int> seen(23, 0);
  for (const auto& fold : fitted) {
    EXPECT_GE(fold.size(), 18u);
    EXPECT_LE(fold.size(), 19u);
    for (double v : fold) ++seen[std::size_t(v)];
  }
  EXPECT_EQ(seen, std::vector<int>(23, 4));
  EXPECT_THROW(cross_validate(exec, {}, x, y, 12, 1), Error);
}

TEST(Surrogate, PredictsSeveralTargetsInTheirOwnUnits) {
  const std::vector<i32> choices{3, 3, 3, 11, 1, 3, 3, 3};
  std::vector<Genotype> genotypes;
  std::vector<std::vector<double>> values(2);
  for (u64 i = 0; i < 90; ++i) {
    Rng rng(1, i);
    Genotype g;
    for (i32 c : choices) g.push_back(i32(rng.below(u32(c))));
    values[0].push_back(1e6 * (5 + g[0] + 2 * g[3]));
    values[1].push_back(0.1 + 0.01 * g[1] * g[2]);
    genotypes.push_back(std::move(g));
  }
  const std::span<const Genotype> known(genotypes.data(), 70), asked(genotypes.data() + 70, 20);
  std::vector<std::vector<double>> told;
  for (const auto& v : values) told.emplace_back(v.begin(), v.begin() + 70);
  for (int threads : {1, 2}) {
    Exec exec(default_target(), threads);
    Surrogate surrogate(choices, {.kind = "as"});
    surrogate.fit(exec, known, told);
    const auto got = surrogate.predict(exec, asked);
    ASSERT_EQ(got.size(), 2u);
    for (std::size_t t = 0; t < 2; ++t) {
      const std::vector<double> truth(values[t].begin() + 70, values[t].end());
      EXPECT_GT(rank_agreement(means(got[t]), truth).tau(), t == 0 ? 0.95 : 0.7);
      EXPECT_NEAR(got[t][0].mean, truth[0], 0.2 * truth[0]);
      EXPECT_EQ(surrogate.reports()[t].validation.size(), 3u);
    }
  }
  Exec exec;
  Surrogate raw(choices, {.kind = "rbf", .raw_inputs = true, .units = {1, 1000}});
  raw.fit(exec, known, told);
  EXPECT_EQ(raw.reports()[0].kind, "rbf");
  EXPECT_TRUE(raw.reports()[0].validation.empty());
  const double near = raw.predict(exec, asked)[0][0].mean;
  EXPECT_NEAR(near, values[0][70], 0.01 * values[0][70]);
  EXPECT_NEAR(raw.predict(exec, asked)[1][0].mean, values[1][70], 0.2 * values[1][70]);
  Surrogate one_unit(choices, {.kind = "rbf", .units = {1}});
  EXPECT_THROW(one_unit.fit(exec, known, told), Error);
  EXPECT_THROW(Surrogate(choices, {.kind = "magic"}), Error);
  EXPECT_THROW(raw.fit(exec, asked, told), Error);
  EXPECT_THROW(raw.predict(exec, std::vector<Genotype>{{1, 2}}), Error);
}

}  // namespace
}  // namespace offramp::nas
