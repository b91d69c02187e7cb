// A block in float, one fused operation, against the chain of separate operations in double, over sizes
// around the tiles of every target.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nn/layers/mbconv.h"
#include "tests/support/bits.h"
#include "tests/support/targets.h"

namespace offramp {
namespace {

using namespace nn;

struct Case {
  i64 n, h, w, c_in, mid, c_out, kernel, stride, se;
  Act act;
};
constexpr Case kCases[] = {
    {1, 1, 1, 1, 3, 1, 3, 1, 2, Act::relu},          {2, 4, 3, 8, 24, 8, 3, 1, 0, Act::hard_swish},
    {3, 5, 5, 16, 16, 24, 5, 2, 0, Act::relu},       {17, 2, 2, 20, 72, 20, 7, 1, 24, Act::hard_swish},
    {18, 6, 7, 24, 40, 33, 5, 1, 8, Act::relu},      {33, 9, 9, 17, 65, 17, 3, 1, 0, Act::relu6},
    {2, 12, 12, 16, 96, 24, 7, 2, 0, Act::sigmoid},  {40, 4, 4, 40, 144, 40, 5, 1, 40, Act::hard_swish},
    {5, 17, 16, 3, 35, 3, 3, 1, 5, Act::hard_swish}, {65, 8, 8, 24, 24, 24, 3, 1, 8, Act::relu},
    {4, 6, 6, 9, 19, 9, 9, 1, 0, Act::relu},         {64, 1, 1, 130, 264, 130, 3, 1, 0, Act::hard_swish},
};

LayerSpec spec_of(const Case& c) {
  return {.kind = LayerSpec::Kind::mbconv,
          .name = "block",
          .c_out = c.c_out,
          .kernel = c.kernel,
          .stride = c.stride,
          .pad = c.kernel / 2,
          .act = c.act,
          .mid = c.mid,
          .se = c.se};
}

Tensor random(const Shape& shape, u64 seed, float low, float high) {
  Tensor t = Tensor::empty(shape);
  Rng rng(seed);
  for (float& v : t.values<float>()) v = rng.uniform(low, high);
  return t;
}

// The result, the gradients of x and of every parameter, and the running statistics.
std::map<std::string, Tensor> run(Exec& exec, const Case& c, DType dtype) {
  std::map<std::string, Tensor> weights;
  FreshParameters fresh(Rng(7));
  Registry shapes(fresh, {});
  MBConv(spec_of(c), c.c_in, shapes);
  u64 seed = 10;
  for (const NamedParameter& p : shapes.parameters) {
    const bool gamma = p.name.ends_with(".gamma"), weight = p.name.ends_with(".weight");
    const Tensor value = weight  ? p.variable.value()
                         : gamma ? random(p.variable.shape(), ++seed, 0.5f, 1.5f)
                                 : random(p.variable.shape(), ++seed, -0.5f, 0.5f);
    weights.emplace(p.name, value.to(dtype).clone());
  }
  for (const NamedBuffer& b : shapes.buffers) weights.emplace(b.name, b.tensor.to(dtype).clone());
  LoadedParameters source(weights);
  Registry registry(source, {});
  MBConv block(spec_of(c), c.c_in, registry);
  // Not centred: a mean that is not small shows in the statistics.
  const Variable x(random({c.n, c.h, c.w, c.c_in}, 1, -0.5f, 1.5f).to(dtype), true);
  const Variable y = block.forward(exec, x, Mode::train);
  backward(exec, y, random(y.shape(), 2, -1, 1).to(dtype));
  std::map<std::string, Tensor> out{{"y", y.value()}, {"grad x", x.grad()}};
  for (const NamedParameter& p : registry.parameters) out.emplace("grad " + p.name, p.variable.grad());
  for (const NamedBuffer& b : registry.buffers) out.emplace("after " + b.name, b.tensor);
  return out;
}

std::string text(const Case& c) {
  std::string out;
  for (i64 v : {c.n, c.h, c.w, c.c_in, c.mid, c.c_out, c.kernel, c.stride, c.se, i64(c.act)})
    out += std::to_string(v) + " ";
  return out;
}

TEST(MBConvFused, AgreesWithTheChainInDouble) {
  for (const Case& c : kCases) {
    // A channel with one value has no variance: its result is beta, its gradient rounding noise.
    if (c.n * c.h * c.w == 1) continue;
    SCOPED_TRACE(text(c));
    Exec reference(Target::portable);
    const auto want = run(reference, c, DType::f64);
    for (const Target target : testing::runnable_targets()) {
      SCOPED_TRACE(target_name(target));
      Exec exec(target);
      const auto got = run(exec, c, DType::f32);
      ASSERT_EQ(got.size(), want.size());
      for (const auto& [name, tensor] : want) {
        ASSERT_TRUE(got.at(name).defined()) << name;
        ASSERT_EQ(got.at(name).shape(), tensor.shape()) << name;
        const Tensor wide = got.at(name).to(DType::f64);
        const auto g = wide.values<double>(), w = tensor.values<double>();
        double largest = 1e-3;
        for (double v : w) largest = std::max(largest, std::fabs(v));
        // Rounding of a value near an activation's kink changes its slope by half and more: such a value
        // may err, but there are few.
        i64 far = 0;
        for (size_t i = 0; i < g.size(); ++i) {
          ASSERT_TRUE(std::isfinite(g[i])) << name << " element " << i;
          far += std::fabs(g[i] - w[i]) > 2e-5 * largest;
        }
        EXPECT_LE(far, i64(g.size()) / 500) << name;
      }
    }
  }
}

TEST(MBConvFused, SameBitsForAnyNumberOfThreads) {
  for (const Target target : testing::runnable_targets())
    for (const Case& c : kCases) {
      SCOPED_TRACE(std::string(target_name(target)) + " " + text(c));
      Exec one(target);
      const auto want = run(one, c, DType::f32);
      for (const int threads : {2, 3}) {
        Exec several(target, threads);
        const auto got = run(several, c, DType::f32);
        for (const auto& [name, tensor] : want)
          EXPECT_TRUE(testing::same_bits(got.at(name).values<float>(), tensor.values<float>())) << name;
      }
    }
}

}  // namespace
}  // namespace offramp
