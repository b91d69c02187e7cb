// Optimisers against PyTorch's trajectories (tests/golden/make_nn_golden.py), schedule, average, clipping.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/error.h"
#include "nn/optim/adamw.h"
#include "nn/optim/ema.h"
#include "nn/optim/schedule.h"
#include "nn/optim/sgd.h"
#include "tensor/safetensors.h"
#include "tests/support/targets.h"
#include "tiny.h"

namespace offramp {
namespace {

using namespace nn;
using testing::same_bits;

const SafeTensors& golden() {
  static const SafeTensors file = read_safetensors(OFFRAMP_SOURCE_DIR "/tests/golden/nn.safetensors");
  return file;
}

// Two parameters with the same start and gradients: one is decayed, one is not.
void check_trajectory(Exec& exec, DType dtype, double tolerance, const std::string& decayed,
                      const std::string& plain,
                      const std::function<std::unique_ptr<Optimizer>(std::vector<NamedParameter>)>& make) {
  const Tensor start = golden().tensors.at("optim/start").to(dtype);
  const Tensor gradients = golden().tensors.at("optim/gradients").to(dtype);
  std::vector<NamedParameter> parameters;
  if (!decayed.empty()) parameters.push_back({"layer.weight", Variable(start.clone(), true)});
  parameters.push_back({"layer.norm.gamma", Variable(start.clone(), true)});
  parameters.push_back({"unreached.weight", Variable(start.clone(), true)});
  const auto optimizer = make(parameters);
  const i64 steps = gradients.extent(0), size = gradients.extent(1);
  for (i64 step = 0; step < steps; ++step) {
    optimizer->zero_grad();
    for (size_t i = 0; i + 1 < parameters.size(); ++i) {
      // Doubled here and halved by the scale that clipping would give.
      Tensor g = gradients.slice(0, step, 1).clone().reshape({size});
      g.add_(g.clone());
      parameters[i].variable.set_grad(g);
    }
    optimizer->step(exec, 0.1 / double(step + 1), 0.5);
    for (size_t i = 0; i + 1 < parameters.size(); ++i) {
      const bool decays = parameters[i].name == "layer.weight";
      const Tensor want = golden().tensors.at("optim/" + (decays ? decayed : plain)).slice(0, step, 1);
      const Tensor got = parameters[i].variable.value().to(DType::f64);
      for (i64 j = 0; j < size; ++j)
        ASSERT_NEAR(got.values<double>()[size_t(j)], want.values<double>()[size_t(j)], tolerance)
            << parameters[i].name << ", step " << step << ", element " << j;
    }
  }
  EXPECT_TRUE(same_bits(parameters.back().variable.value(), start)) << "a parameter without a gradient moved";
}

TEST(Optimizers, FollowTorch) {
  for (const Target target : testing::runnable_targets())
    for (const DType dtype : {DType::f64, DType::f32}) {
      SCOPED_TRACE(target_name(target));
      Exec exec(target);
      const double tolerance = dtype == DType::f64 ? 1e-13 : 3e-6;
      // Momentum differs between the golden runs with and without decay, so one parameter at a time.
      check_trajectory(exec, dtype, tolerance, "", "sgd_plain", [](auto p) {
        return std::make_unique<Sgd>(p, SgdOptions{.momentum = 0.8, .weight_decay = 0.05, .nesterov = false});
      });
      check_trajectory(exec, dtype, tolerance, "adamw", "adamw_plain", [](auto p) {
        return std::make_unique<AdamW>(p, AdamWOptions{.beta2 = 0.99, .weight_decay = 0.05});
      });
    }
}

TEST(Optimizers, NesterovFollowsTorch) {
  Exec exec(Target::portable);
  const Tensor gradients = golden().tensors.at("optim/gradients"), want = golden().tensors.at("optim/sgd");
  const Variable p(golden().tensors.at("optim/start").clone(), true);
  Sgd sgd({{"layer.weight", p}}, {.momentum = 0.9, .weight_decay = 0.05, .nesterov = true});
  for (i64 step = 0; step < gradients.extent(0); ++step) {
    Variable(p).set_grad(gradients.slice(0, step, 1).clone().reshape(p.shape()));
    sgd.step(exec, 0.1 / double(step + 1));
    for (i64 j = 0; j < p.value().count(); ++j)
      ASSERT_NEAR(p.value().values<double>()[size_t(j)], want.values<double>()[size_t(step * 11 + j)], 1e-13);
  }
}

TEST(Optimizers, DecayFollowsTheName) {
  EXPECT_TRUE(has_weight_decay("stage1.block2.depthwise.weight"));
  EXPECT_FALSE(has_weight_decay("exit1.linear.bias"));
  EXPECT_FALSE(has_weight_decay("stem.conv.norm.gamma"));
  EXPECT_FALSE(has_weight_decay("stem.conv.norm.beta"));
}

TEST(Optimizers, WantLeavesInRowMajorOrder) {
  const Variable w(Tensor::zeros({4, 4}), true);
  EXPECT_THROW(Sgd({{"part.weight", Variable::slice(w, 1, 0, 2)}}), Error);
}

TEST(Clipping, ScalesToTheWantedNorm) {
  Exec exec(default_target());
  std::vector<NamedParameter> parameters{{"a", Variable(Tensor::zeros({2}), true)},
                                         {"b", Variable(Tensor::zeros({1}, DType::f64), true)},
                                         {"c", Variable(Tensor::zeros({3}), true)}};
  parameters[0].variable.set_grad(Tensor::full({2}, 4));
  parameters[1].variable.set_grad(Tensor::full({1}, 2, DType::f64));  // sqrt(16 + 16 + 4) = 6
  const GradientNorm above = clip_gradients(exec, parameters, 1.5);
  EXPECT_DOUBLE_EQ(above.norm, 6);
  EXPECT_DOUBLE_EQ(above.scale, 0.25);
  EXPECT_DOUBLE_EQ(clip_gradients(exec, parameters, 7).scale, 1);
  EXPECT_DOUBLE_EQ(clip_gradients(exec, parameters, 0).scale, 1);
  parameters[0].variable.set_grad(Tensor::full({2}, INFINITY));
  EXPECT_TRUE(std::isnan(clip_gradients(exec, parameters, 1).scale));
}

TEST(Schedule, WarmsUpThenFollowsACosine) {
  const CosineSchedule s{.base = 0.4, .final = 0.1, .steps = 14, .warm_up = 4};
  EXPECT_DOUBLE_EQ(s.at(0), 0.1);
  EXPECT_DOUBLE_EQ(s.at(3), 0.4);
  EXPECT_DOUBLE_EQ(s.at(4), 0.4);
  EXPECT_NEAR(s.at(9), 0.25, 1e-15);  // half way
  EXPECT_NEAR(s.at(6), 0.1 + 0.15 * (1 + std::cos(0.2 * 3.141592653589793)), 1e-15);
  EXPECT_DOUBLE_EQ(s.at(14), 0.1);
  EXPECT_DOUBLE_EQ(s.at(1000), 0.1);
  for (i64 step = 4; step < 14; ++step) EXPECT_GT(s.at(step), s.at(step + 1));
  const CosineSchedule all_warm_up{.base = 1, .steps = 3, .warm_up = 3};
  EXPECT_DOUBLE_EQ(all_warm_up.at(2), 1);
  EXPECT_DOUBLE_EQ(all_warm_up.at(3), 0);
}

TEST(Ema, AveragesParametersAndCopiesBuffers) {
  Exec exec(default_target());
  Tensor value = Tensor::full({3}, 1, DType::f64), buffer = Tensor::full({2}, 1);
  Ema ema({{"p", Variable(value, true)}}, {{"b", buffer}}, 0.75);
  double want = 1;
  for (int update = 0; update < 50; ++update) {
    value.fill(update + 2);
    buffer.fill(update);
    ema.update(exec);
    const double decay = std::min(0.75, (1.0 + update) / (10 + update));
    want = decay * want + (1 - decay) * (update + 2);
  }
  EXPECT_NEAR(ema.state().at("p").values<double>()[2], want, 1e-12);
  EXPECT_LT(want, 51);
  EXPECT_EQ(ema.state().at("b").values<float>()[1], 49);
  buffer.fill(-1);
  ema.swap();
  EXPECT_NEAR(value.values<double>()[0], want, 1e-12);
  EXPECT_EQ(buffer.values<float>()[0], 49);
  ema.swap();
  EXPECT_EQ(value.values<double>()[0], 51);
  EXPECT_EQ(buffer.values<float>()[0], -1);
}

}  // namespace
}  // namespace offramp
