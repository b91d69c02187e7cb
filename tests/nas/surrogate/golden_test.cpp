// Surrogates against SciPy and scikit-learn: tests/golden/surrogates.txt, by make_surrogate_golden.py.
#include <gtest/gtest.h>

#include "nas/surrogate/gaussian_process.h"
#include "nas/surrogate/kendall.h"
#include "nas/surrogate/rbf.h"
#include "nas/surrogate/tree_ensemble.h"
#include "tests/nas/surrogate/samples.h"
#include "tests/support/golden_text.h"

namespace offramp::nas {
namespace {

constexpr i64 kCols = 6;

const test::GoldenText& golden() {
  static const test::GoldenText file("surrogates.txt");
  return file;
}

std::vector<Estimate> fitted(Regressor& model) {
  Exec exec;
  model.fit(exec, matrix_of(golden()["x"], kCols), golden()["y"]);
  return model.predict(exec, matrix_of(golden()["x_test"], kCols));
}

void expect_near(const std::vector<Estimate>& got, const std::string& want, double tolerance) {
  ASSERT_EQ(got.size(), golden()[want].size());
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i].mean, golden()[want][i], tolerance) << want << " " << i;
}

TEST(SurrogateGolden, RbfIsTheSmoothedCubicSplineWithALinearTail) {
  Rbf rbf;
  expect_near(fitted(rbf), "rbf", 1e-8);
}

TEST(SurrogateGolden, OneTreeOnAllInputsIsCart) {
  TreeEnsemble shallow({.trees = 1, .inputs_percent = 100, .max_depth = 3});
  expect_near(fitted(shallow), "tree.depth3", 1e-12);
  TreeEnsemble bushy({.trees = 3, .inputs_percent = 100, .min_leaf = 5});
  expect_near(fitted(bushy), "tree.leaf5", 1e-12);
}

TEST(SurrogateGolden, GaussianProcessIsUniversalKriging) {
  using Trend = GaussianProcessOptions::Trend;
  for (Trend trend : {Trend::constant, Trend::linear}) {
    const std::string name = trend == Trend::constant ? "gp.constant." : "gp.linear.";
    GaussianProcess gp({.trend = trend, .theta = 0.05, .nugget = 0.01});
    const std::vector<Estimate> got = fitted(gp);
    expect_near(got, name + "mean", 1e-9);
    for (std::size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(got[i].spread, golden()[name + "spread"][i], 1e-9);
    EXPECT_NEAR(gp.criterion(), golden()[name + "criterion"][0], 1e-7);
  }
}

TEST(SurrogateGolden, GaussianProcessFindsTheGlobalOptimumOfTheLikelihood) {
  using Trend = GaussianProcessOptions::Trend;
  for (Trend trend : {Trend::constant, Trend::linear}) {
    const std::string name = trend == Trend::constant ? "gp.constant." : "gp.linear.";
    GaussianProcess gp({.trend = trend});
    fitted(gp);
    EXPECT_GE(gp.criterion(), golden()[name + "best_criterion"][0] - 1e-6);
    EXPECT_LE(gp.criterion(), golden()[name + "best_criterion"][0] + 0.1);
  }
}

TEST(SurrogateGolden, KendallCountsTies) {
  EXPECT_NEAR(rank_agreement(golden()["kendall.a"], golden()["kendall.b"]).tau(), golden()["kendall.tau"][0],
              1e-14);
}

}  // namespace
}  // namespace offramp::nas
