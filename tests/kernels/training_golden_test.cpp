// Batch norm, losses and optimisers against PyTorch: tests/golden/training.txt, by make_training_golden.py.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "kernels/norm/norm.h"
#include "kernels/softmax/softmax.h"
#include "kernels/update/update.h"
#include "tests/support/targets.h"

namespace offramp::kernels {
namespace {

const std::vector<double>& golden(const std::string& name) {
  static const auto all = [] {
    std::map<std::string, std::vector<double>> read;
    std::ifstream file(std::string(OFFRAMP_SOURCE_DIR) + "/tests/golden/training.txt");
    std::string key;
    for (size_t count; file >> key >> count;) {
      std::vector<double> values(count);
      for (double& v : values) file >> v;
      read[key] = values;
    }
    return read;
  }();
  return all.at(name);  // throws, and so fails the test, when the line is missing
}

template <class T>
std::vector<T> golden_as(const std::string& name) {
  return {golden(name).begin(), golden(name).end()};
}

template <class T>
void expect_golden(const std::vector<T>& got, const std::string& name, double tolerance) {
  const auto& want = golden(name);
  ASSERT_EQ(got.size(), want.size()) << name;
  for (size_t i = 0; i < want.size(); ++i)
    EXPECT_NEAR(got[i], want[i], tolerance * std::fmax(1, std::fabs(want[i]))) << name << " element " << i;
}

template <class T>
void check_batch_norm(Exec& exec, double tolerance) {
  const NormDims d{12, 5};
  const auto x = golden_as<T>("batch_norm.x"), gy = golden_as<T>("batch_norm.gy");
  const auto gamma = golden_as<T>("batch_norm.gamma"), beta = golden_as<T>("batch_norm.beta");
  for (const auto& [name, act] : {std::pair<std::string, Act>("none", Act::none),
                                  {"relu", Act::relu},
                                  {"hard_swish", Act::hard_swish}}) {
    std::vector<T> y(60), gx(60), mean(5), var(5), ggamma(5), gbeta(5);
    norm_train(exec, NormTrainCallT<T>{d, x.data(), gamma.data(), beta.data(), T(1e-3), act, mean.data(),
                                       var.data(), y.data()});
    norm_grad(exec,
              NormGradCallT<T>{d, x.data(), gy.data(), mean.data(), var.data(), gamma.data(), beta.data(),
                               T(1e-3), act, true, gx.data(), ggamma.data(), gbeta.data()});
    expect_golden(mean, "batch_norm.mean", tolerance);
    expect_golden(var, "batch_norm.var", tolerance);
    expect_golden(y, "batch_norm." + name + ".y", tolerance);
    expect_golden(gx, "batch_norm." + name + ".gx", tolerance);
    expect_golden(ggamma, "batch_norm." + name + ".ggamma", tolerance);
    expect_golden(gbeta, "batch_norm." + name + ".gbeta", tolerance);
  }
}

template <class T>
void check_losses(Exec& exec, double tolerance) {
  const auto x = golden_as<T>("loss.x"), teacher = golden_as<T>("loss.teacher");
  const auto target = golden_as<i64>("loss.target");
  for (const std::string smoothing : {"0.0", "0.125"}) {
    std::vector<T> loss(1), gx(42);
    cross_entropy(exec, CrossEntropyCallT<T>{6, 7, T(std::stod(smoothing)), x.data(), target.data(),
                                             loss.data(), 1, gx.data()});
    expect_golden(loss, "cross_entropy." + smoothing + ".loss", tolerance);
    expect_golden(gx, "cross_entropy." + smoothing + ".gx", tolerance);
  }
  for (const std::string temperature : {"1.0", "4.0"}) {
    std::vector<T> loss(1), gx(42);
    kl_div(exec, KlDivCallT<T>{6, 7, T(std::stod(temperature)), x.data(), teacher.data(), loss.data(), 1,
                               gx.data()});
    expect_golden(loss, "kl_div." + temperature + ".loss", tolerance);
    expect_golden(gx, "kl_div." + temperature + ".gx", tolerance);
  }
}

template <class T>
void check_optimisers(Exec& exec, double tolerance) {
  const auto start = golden_as<T>("optimiser.start"), gradients = golden_as<T>("optimiser.gradients");
  const i64 count = i64(start.size());
  std::vector<T> p = start, v(start.size());
  for (int step = 0; step < 5; ++step) {
    const T* g = gradients.data() + step * count;
    sgd_update(exec, SgdCallT<T>{count, T(0.125), T(0.875), T(0.0625), 1, true, g, v.data(), p.data()});
    expect_golden(p, "sgd." + std::to_string(step), tolerance);
  }
  std::vector<T> m(start.size());
  p = start, v.assign(start.size(), 0);
  for (int step = 0; step < 5; ++step) {
    const T* g = gradients.data() + step * count;
    const T bias1 = T(1 - std::pow(0.875, step + 1)), bias2 = T(1 - std::pow(0.984375, step + 1));
    adamw_update(exec, AdamWCallT<T>{count, T(0.125), T(0.875), T(0.984375), T(1e-6), T(0.25), bias1, bias2,
                                     1, g, m.data(), v.data(), p.data()});
    expect_golden(p, "adamw." + std::to_string(step), tolerance);
  }
}

TEST(TrainingGolden, ReferenceInDouble) {
  Exec exec;
  check_batch_norm<double>(exec, 1e-12);
  check_losses<double>(exec, 1e-12);
  check_optimisers<double>(exec, 1e-12);
}

TEST(TrainingGolden, EveryTargetInFloat) {
  for (const Target target : testing::runnable_targets()) {
    SCOPED_TRACE(std::string(target_name(target)));
    Exec exec(target);
    check_batch_norm<float>(exec, 4e-6);
    check_losses<float>(exec, 2e-6);
    check_optimisers<float>(exec, 2e-6);
  }
}

}  // namespace
}  // namespace offramp::kernels
