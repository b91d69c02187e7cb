// Running statistics of batch normalisation.
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/ops/batch_norm.h"
#include "kernels/recorder.h"
#include "tests/support/fill.h"

namespace offramp {
namespace {

TEST(UpdateRunning, MixesWithMomentumAndUnbiasedVariance) {
  Exec exec(Target::portable);
  Tensor x = Tensor::empty({2, 3, 1, 2}, DType::f64);
  testing::fill_reals(x.values<double>(), 3);
  const Variable ones(Tensor::full({2}, 1, DType::f64)), zeros(Tensor::zeros({2}, DType::f64));
  Tensor whole = Tensor::full({5}, 5, DType::f64);  // running values may be part of something larger
  Tensor mean = whole.slice(0, 2, 2), var = Tensor::full({2}, 2, DType::f64);
  ops::batch_norm_train(exec, Variable(x), ones, zeros, {}, {mean, var, 0.25});
  for (i64 c = 0; c < 2; ++c) {
    double sum = 0, squares = 0;
    for (i64 i = 0; i < 6; ++i) sum += x.data<double>()[i * 2 + c];
    for (i64 i = 0; i < 6; ++i) squares += std::pow(x.data<double>()[i * 2 + c] - sum / 6, 2);
    EXPECT_NEAR(mean.data<double>()[c], 0.75 * 5 + 0.25 * sum / 6, 1e-14);
    EXPECT_NEAR(var.data<double>()[c], 0.75 * 2 + 0.25 * squares / 5, 1e-14);
  }
  EXPECT_EQ(whole.data<double>()[1], 5);
  EXPECT_EQ(whole.data<double>()[4], 5);
  // Momentum 1 forgets what was there: the same bits from any start.
  Tensor fresh_mean = Tensor::zeros({2}, DType::f64), fresh_var = Tensor::zeros({2}, DType::f64);
  Tensor used_mean = Tensor::full({2}, 0.3, DType::f64), used_var = Tensor::full({2}, 1e9, DType::f64);
  ops::batch_norm_train(exec, Variable(x), ones, zeros, {}, {fresh_mean, fresh_var, 1});
  ops::batch_norm_train(exec, Variable(x), ones, zeros, {}, {used_mean, used_var, 1});
  for (i64 c = 0; c < 2; ++c) {
    EXPECT_EQ(fresh_mean.data<double>()[c], used_mean.data<double>()[c]);
    EXPECT_EQ(fresh_var.data<double>()[c], used_var.data<double>()[c]);
  }
  Recorder recorder;
  recorder.dry = true;
  exec.recorder = &recorder;
  const double before = mean.data<double>()[0];
  ops::update_running(exec, mean, var, {.mean = fresh_mean, .var = fresh_var, .rows = 6}, 0.25);
  EXPECT_EQ(mean.data<double>()[0], before);
}

}  // namespace
}  // namespace offramp
