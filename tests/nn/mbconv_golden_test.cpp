// Inverted residual blocks against PyTorch: tests/golden/make_nn_golden.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nn/layers/mbconv.h"
#include "tensor/safetensors.h"
#include "tests/support/targets.h"

namespace offramp {
namespace {

using namespace nn;

const SafeTensors& golden() {
  static const SafeTensors file = read_safetensors(OFFRAMP_SOURCE_DIR "/tests/golden/nn.safetensors");
  return file;
}

// Relative to the largest element.
void expect_close(const Tensor& got, const std::string& name, double tolerance) {
  const Tensor& want = golden().tensors.at(name);
  ASSERT_TRUE(got.defined()) << name;
  ASSERT_EQ(got.shape(), want.shape()) << name;
  const Tensor wide = got.to(DType::f64).contiguous();
  const auto g = wide.values<double>(), w = want.values<double>();
  double largest = 1;
  for (double v : w) largest = std::max(largest, std::fabs(v));
  for (size_t i = 0; i < g.size(); ++i)
    ASSERT_LE(std::fabs(g[i] - w[i]), tolerance * largest)
        << name << " element " << i << ": " << g[i] << ", " << w[i];
}

void check(Exec& exec, const std::string& label, const LayerSpec& spec, DType dtype, double tolerance) {
  std::map<std::string, Tensor> weights;
  for (const auto& [name, tensor] : golden().tensors)
    if (name.rfind(label + "/block.", 0) == 0)
      weights.emplace(name.substr(label.size() + 1), tensor.to(dtype).clone());
  LoadedParameters source(weights);
  Registry registry(source, {});
  const Variable x(golden().tensors.at(label + "/x").to(dtype), true);
  MBConv block(spec, x.shape()[3], registry);

  const Variable evaluated = block.forward(exec, x.detach(), Mode::evaluate);
  EXPECT_FALSE(evaluated.requires_grad());
  expect_close(evaluated.value(), label + "/y_evaluate", tolerance);
  const Variable y = block.forward(exec, x, Mode::train);
  expect_close(y.value(), label + "/y_train", tolerance);
  backward(exec, y, golden().tensors.at(label + "/upstream").to(dtype));
  expect_close(x.grad(), label + "/grad/x", tolerance);
  size_t gradients = 0;
  for (const auto& [name, tensor] : golden().tensors) gradients += name.rfind(label + "/grad/", 0) == 0;
  EXPECT_EQ(registry.parameters.size() + 1, gradients);
  for (const NamedParameter& p : registry.parameters)
    expect_close(p.variable.grad(), label + "/grad/" + p.name, tolerance);
  for (const NamedBuffer& b : registry.buffers) expect_close(b.tensor, label + "/after/" + b.name, tolerance);
}

const LayerSpec kWithSqueezeExcite{.kind = LayerSpec::Kind::mbconv,
                                   .name = "block",
                                   .c_out = 4,
                                   .kernel = 5,
                                   .pad = 2,
                                   .act = Act::hard_swish,
                                   .mid = 12,
                                   .se = 3};
const LayerSpec kWithoutExpansion{.kind = LayerSpec::Kind::mbconv,
                                  .name = "block",
                                  .c_out = 7,
                                  .kernel = 3,
                                  .stride = 2,
                                  .pad = 1,
                                  .act = Act::relu,
                                  .mid = 5};

TEST(MBConv, AgreesWithTorchInDouble) {
  Exec exec(Target::portable);
  check(exec, "a", kWithSqueezeExcite, DType::f64, 1e-12);
  check(exec, "b", kWithoutExpansion, DType::f64, 1e-12);
}

TEST(MBConv, AgreesWithTorchInFloatOnEveryTarget) {
  for (const Target target : testing::runnable_targets()) {
    SCOPED_TRACE(target_name(target));
    Exec exec(target);
    check(exec, "a", kWithSqueezeExcite, DType::f32, 1e-5);
    check(exec, "b", kWithoutExpansion, DType::f32, 1e-5);
  }
}

}  // namespace
}  // namespace offramp
