// A convolution with its normalisation and activation, trained on the card, against the chain of separate
// operations in double on the host; what it launches and moves.
#include "nn/layers/conv_unit.h"

#include "autograd/ops/batch_norm.h"
#include "autograd/ops/shape.h"
#include "kernels/recorder.h"
#include "tests/cuda/modes.h"

namespace offramp {
namespace {

using namespace offramp::testing;

struct Case {
  i64 n, h, w, c_in, c_out, kernel, stride;
  Act act;
};
const std::vector<Case> kCases = {
    {4, 9, 8, 3, 8, 3, 2, Act::hard_swish},  {3, 6, 6, 24, 20, 1, 1, Act::relu},
    {2, 7, 7, 20, 24, 3, 1, Act::none},      {2, 8, 7, 8, 24, 5, 2, Act::hard_swish},
    {3, 5, 5, 24, 3, 5, 1, Act::sigmoid},    {4, 6, 5, 8, 20, 1, 2, Act::relu6},
    {3, 6, 6, 8, 24, 3, 1, Act::hard_swish},
};

Tensor random(const Shape& shape, u64 seed, float low, float high) {
  Tensor t = Tensor::empty(shape);
  fill_reals(t.values<float>(), seed, low, high);
  return t.to(DType::bf16).to(DType::f32);  // the same values in every mode
}

using Results = std::map<std::string, Tensor>;

// Three steps of training on one batch and two of recalibration: the last result and gradients, and what
// became of parameters and running statistics.
Results train(Exec& exec, const Case& c, DType activations, DType parameters) {
  nn::FreshParameters fresh(Rng(7), parameters);
  nn::ParametersOn source(memory_of(exec), fresh);
  nn::Registry registry(source, {});
  nn::ConvUnit unit({.name = "unit",
                     .c_in = c.c_in,
                     .c_out = c.c_out,
                     .kernel = c.kernel,
                     .stride = c.stride,
                     .pad = c.kernel / 2,
                     .norm = true,
                     .act = c.act},
                    registry);
  const auto on = [&](const Tensor& t) { return t.to(activations).to(memory_of(exec)); };
  // Not centred: a mean that is not small shows in the statistics.
  const Variable x(on(random({c.n, c.h, c.w, c.c_in}, 1, -0.5f, 1.5f)), true);
  Results out;
  const auto keep = [&](const std::string& name, const Tensor& t) {
    out[name] = t.to(Device::cpu).to(DType::f64).clone();
  };
  for (int step = 0; step < 3; ++step) {
    const Variable y = unit.forward(exec, x, nn::Mode::train);
    keep("y", y.value());
    backward(exec, y, on(random(y.shape(), 2, -1, 1)));
    keep("grad x", x.grad());
    Variable(x).zero_grad();
    for (nn::NamedParameter& p : registry.parameters) {
      keep("grad " + p.name, p.variable.grad());
      Tensor now = p.variable.value().to(Device::cpu).to(DType::f64).clone();
      const Tensor& g = out.at("grad " + p.name);
      for (i64 i = 0; i < now.count(); ++i) now.data<double>()[i] -= 0.01 * g.data<double>()[i];
      Tensor(p.variable.value()).copy_from(now.to(parameters).to(memory_of(exec)));
      p.variable.zero_grad();
    }
  }
  for (const nn::NamedBuffer& b : registry.buffers) keep("trained " + b.name, b.tensor);
  unit.reset_statistics();
  for (int batch = 0; batch < 2; ++batch)
    unit.forward(exec, Variable(on(random({c.n, c.h, c.w, c.c_in}, 3 + u64(batch), -1, 1))),
                 nn::Mode::recalibrate);
  for (const nn::NamedBuffer& b : registry.buffers) keep("recalibrated " + b.name, b.tensor);
  for (const nn::NamedParameter& p : registry.parameters) keep(p.name, p.variable.value());
  return out;
}

const double* values_of(const Tensor& t) { return t.data<double>(); }

// Length of the difference over the length of what is wanted.
double apart(const Tensor& got, const Tensor& want) {
  double difference = 0, all = 0;
  for (i64 i = 0; i < want.count(); ++i) {
    difference += std::pow(values_of(got)[i] - values_of(want)[i], 2);
    all += std::pow(values_of(want)[i], 2);
  }
  return std::sqrt(difference / all);
}

template <class Mode>
struct CudaConvUnit : ::testing::Test {};
TYPED_TEST_SUITE(CudaConvUnit, Modes);

TYPED_TEST(CudaConvUnit, TrainsAsTheHostDoes) {
  OFFRAMP_NEEDS_CARD();
  const DType type = sizeof(typename TypeParam::T) == 2 ? DType::bf16 : DType::f32;
  for (const Case& c : kCases) {
    // Of bf16 a share of some thousandths lies on the other side of a kink, where the slope is wholly
    // another.
    if (type == DType::bf16 && (c.act == Act::relu || c.act == Act::relu6)) continue;
    SCOPED_TRACE(std::to_string(c.c_in) + "->" + std::to_string(c.c_out) + " k" + std::to_string(c.kernel) +
                 " s" + std::to_string(c.stride) + " act " + std::to_string(int(c.act)));
    Exec host(Target::portable), card(cuda::Gpu::instance(), TypeParam::kMath);
    const Results want = train(host, c, DType::f64, DType::f64), got = train(card, c, type, DType::f32),
                  again = train(card, c, type, DType::f32);
    ASSERT_EQ(got.size(), want.size());
    for (const auto& [name, tensor] : want) {
      EXPECT_LT(apart(got.at(name), tensor), TypeParam::kTolerance) << name;
      EXPECT_EQ(apart(again.at(name), got.at(name)), 0) << name;
    }
  }
}

// A unit of a supernet: the first channels and the centre taps of larger parameters.
TYPED_TEST(CudaConvUnit, TrainsPartsOfLargerParameters) {
  OFFRAMP_NEEDS_CARD();
  const DType type = sizeof(typename TypeParam::T) == 2 ? DType::bf16 : DType::f32;
  const auto run = [&](Exec& exec, DType activations, DType parameters) {
    const auto leaf = [&](const Shape& shape, u64 seed, float low, DType dtype) {
      return Variable(random(shape, seed, low, 1).to(dtype).to(memory_of(exec)), true);
    };
    const Variable x = leaf({2, 6, 5, 8}, 1, -0.5f, activations), w = leaf({24, 5, 5, 16}, 2, -1, parameters),
                   gamma = leaf({24}, 3, 0.5f, parameters), beta = leaf({24}, 4, -1, parameters);
    const Variable y = ops::conv_unit_train(exec, x,
                                            {ops::prefix_view(w, {.out = 20, .in = 8, .kernel = 3}),
                                             ops::prefix_view(gamma, {.out = 20}),
                                             ops::prefix_view(beta, {.out = 20}),
                                             {}},
                                            {.stride = 2, .pad = 1}, {.act = Act::hard_swish});
    backward(exec, y, random(y.shape(), 5, -1, 1).to(activations).to(memory_of(exec)));
    Results out;
    for (const auto& [name, t] : {std::pair("y", y.value()),
                                  {"x", x.grad()},
                                  {"w", w.grad()},
                                  {"gamma", gamma.grad()},
                                  {"beta", beta.grad()}})
      out[name] = t.to(Device::cpu).to(DType::f64);
    return out;
  };
  Exec host(Target::portable), card(cuda::Gpu::instance(), TypeParam::kMath);
  const Results want = run(host, DType::f64, DType::f64), got = run(card, type, DType::f32);
  for (const auto& [name, tensor] : want) {
    const Tensor& mine = got.at(name);
    EXPECT_LT(apart(mine, tensor), TypeParam::kTolerance) << name;
    for (i64 i = 0; i < tensor.count(); ++i) {
      if (values_of(tensor)[i] != 0) continue;
      ASSERT_EQ(values_of(mine)[i], 0) << name << " " << i;
    }
  }
}

// What a step of one unit costs: launches by name, and bytes as the doors declare them.
struct Step {
  std::vector<std::string> launches;
  Cost cost;
};
template <class Forward>
Step step_of(Exec& exec, const Variable& x, Forward&& forward) {
  const Tensor upstream = Tensor::full(forward(x).shape(), 1).to(Device::cuda);
  cuda::LaunchTimes times;
  Recorder recorder;
  exec.gpu()->times = &times, exec.recorder = &recorder;
  backward(exec, forward(x), upstream);
  exec.gpu()->times = nullptr, exec.recorder = nullptr;
  exec.gpu()->synchronize();
  Step out{.launches = {}, .cost = recorder.total()};
  for (const auto& launch : times.launches) out.launches.push_back(launch.op);
  return out;
}

TEST(CudaConvUnit, AStepIsFiveLaunchesAndSparesPassesOverTheResult) {
  OFFRAMP_NEEDS_CARD();
  Exec card(cuda::Gpu::instance(), cuda::Math::f32);
  for (const i64 kernel : {1, 3})
    for (const bool first : {false, true}) {  // nobody wants the gradient of the first unit's input
      SCOPED_TRACE("kernel " + std::to_string(kernel) + (first ? ", first" : ""));
      const auto leaf = [&](const Shape& shape, u64 seed, bool wanted) {
        return Variable(random(shape, seed, 0.5f, 1).to(Device::cuda), wanted);
      };
      const Variable x = leaf({2, 6, 6, 16}, 1, !first), w = leaf({24, kernel, kernel, 16}, 2, true),
                     gamma = leaf({24}, 3, true), beta = leaf({24}, 4, true);
      const ops::Conv2dOptions convolution{.pad = kernel / 2};
      const auto forget = [&] {  // a gradient that is there is added to
        for (Variable v : {x, w, gamma, beta}) v.zero_grad();
      };
      const Step unit = step_of(card, x, [&](const Variable& in) {
        return ops::conv_unit_train(card, in, {w, gamma, beta, {}}, convolution, {.act = Act::relu});
      });
      forget();
      const Step chain = step_of(card, x, [&](const Variable& in) {
        return ops::batch_norm_train(card, ops::conv2d(card, in, w, convolution), gamma, beta,
                                     {.act = Act::relu});
      });
      std::vector<std::string> want{"normed_conv2d/any/cuda", "normed_add/any/cuda", "normed_slope/any/cuda",
                                    "normed_conv2d_grad/any/cuda"};
      if (!first) want.push_back(want.back());
      EXPECT_EQ(unit.launches, want);
      EXPECT_EQ(chain.launches.size(), want.size() + 2);
      EXPECT_EQ(unit.cost.macs, chain.cost.macs);
      // Forward, that of the statistics. Backward, the chain has five and one more for each product, the unit
      // two and two more. Beside them stand vectors of the channels.
      const auto bytes = [](const Step& s) { return s.cost.bytes_read + s.cost.bytes_written; };
      const i64 y = 4 * 2 * 6 * 6 * 24, spared = first ? 3 : 2;
      EXPECT_NEAR(double(bytes(chain) - bytes(unit)), double(spared * y), 4.0 * 24 * 24);
    }
}

}  // namespace
}  // namespace offramp
